"""The two tables, alike in both databases, and what is asked of them with every line: built once, not each time."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, bindparam, func, insert, select, update

metadata = MetaData()

# `prediction_id` is the line's own, once more, to find it by; verify compares them.
LINES = Table(
    "audit_lines",
    metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("prediction_id", Text, nullable=False, index=True),
    Column("line", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
# One row, whose id is HEAD_ID.
HEADS = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("line", Text, nullable=False),
    Column("seal", Text, nullable=False),
)
HEAD_ID = 1

READ_HEAD = select(HEADS.c.id, HEADS.c.line, HEADS.c.seal).order_by(HEADS.c.id)
TAKE_HEAD = READ_HEAD.with_for_update()
REPLACE_HEAD = update(HEADS).where(HEADS.c.id == HEAD_ID).values(line=bindparam("new_line"), seal=bindparam("new_seal"))
ADD_LINES = insert(LINES)
FIND_LINES = (
    select(LINES.c.line).where(LINES.c.prediction_id == bindparam("wanted")).order_by(LINES.c.sequence).limit(100)
)
_ANSWERS, _NEWEST = LINES.alias("answers"), select(func.max(LINES.c.sequence)).scalar_subquery()
# Keys are sorted and quotes within text are escaped, so that no other line holds these. Newest first.
LABELLED = (
    select(_ANSWERS.c.line, LINES.c.line)
    .join_from(LINES, _ANSWERS, _ANSWERS.c.prediction_id == LINES.c.prediction_id)
    .where(LINES.c.sequence > _NEWEST - bindparam("back"))
    .where(LINES.c.line.contains('"kind":"feedback"'), _ANSWERS.c.line.contains('"kind":"answer"'))
    .order_by(LINES.c.sequence.desc())
    .limit(bindparam("most"))
)
ALL_LINES = select(LINES).order_by(LINES.c.sequence)
