"""CT and MRI together, or either: over the wire, in any order, and refused where there is neither."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

from export.loading import loaded_net
from export.references import reference
from export.samples import net_inputs, picture
from medserve import Client, InvalidInput
from tests.support.live import Live
from tests.support.samples import SampleData
from tests.support.specs import tiny_specs

SPEC = tiny_specs()["brain_fusion"]


def _tensor(name: str, contents: list[bytes]) -> grpc.InferInput:
    value = np.array([[content] for content in contents], np.object_)
    tensor = grpc.InferInput(name, value.shape, "BYTES")
    tensor.set_data_from_numpy(value)
    return tensor


def test_each_combination_is_pytorchs(triton: Live, sample_data: SampleData) -> None:
    ct = sample_data.files("brain_ct")[3].path.read_bytes()
    mri = sample_data.files("brain_mri")[3].path.read_bytes()
    net, _ = loaded_net(SPEC, None)
    for sent in ({"ct": ct}, {"mri": mri}, {"ct": ct, "mri": mri}):
        inputs = net_inputs(SPEC.step, [sent.get("ct", b"")], [sent.get("mri", b"")])
        wanted = reference(net, SPEC, inputs)
        with Client(triton.grpc_url) as client:
            got = client.predict("brain_fusion", **sent)
        worst = {name: float(np.abs(got.outputs[name] - array[0]).max()) for name, array in wanted.items()}
        print(f"{' + '.join(sent)}: {worst}")
        assert all(error <= (1e-3 if "heatmap" in name else 1e-4) for name, error in worst.items())
        assert got.report["modalities"] == list(sent)
        assert 0 <= got.outputs["stage"][0] <= 1
        assert 0 <= got.outputs["survival_risk"][0] <= 1


def test_the_order_of_inputs_does_not_matter_nor_how_absence_is_said(triton: Live) -> None:
    client = grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc}")
    ct, mri = _tensor("ct", [picture(2)]), _tensor("mri", [picture(4)])

    def ask(*tensors: grpc.InferInput) -> list[bytes]:
        result = client.infer("brain_fusion", list(tensors))
        return [result.as_numpy(output.name).tobytes() for output in SPEC.outputs]

    assert ask(ct, mri) == ask(mri, ct)
    assert ask(ct) == ask(ct, _tensor("mri", [b""])) == ask(_tensor("mri", [b""]), ct)
    assert ask(ct) != ask(mri) != ask(ct, mri)


def test_a_batch_of_every_kind(triton: Live) -> None:
    client = grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc}")
    contents = [(picture(1), picture(2)), (b"", picture(3)), (picture(4), b"")]
    cts, mris = zip(*contents, strict=True)
    together = client.infer("brain_fusion", [_tensor("ct", list(cts)), _tensor("mri", list(mris))])
    for item, (ct, mri) in enumerate(contents):
        alone = client.infer("brain_fusion", [_tensor("ct", [ct]), _tensor("mri", [mri])])
        for name in ("probabilities", "heatmap_ct", "heatmap_mri", "stage"):
            assert together.as_numpy(name)[item] == pytest.approx(alone.as_numpy(name)[0], abs=1e-4)
    modalities = [json.loads(report)["modalities"] for report in together.as_numpy("report").ravel()]
    assert modalities == [["ct", "mri"], ["mri"], ["ct"]]


def test_neither_is_an_invalid_argument(triton: Live) -> None:
    client = grpc.InferenceServerClient(f"127.0.0.1:{triton.grpc}")
    for tensors in ([_tensor("ct", [b""]), _tensor("mri", [b""])], [_tensor("ct", [b""])], [_tensor("mri", [b""])]):
        with pytest.raises(
            InferenceServerException, match=r"\[empty\] item 0: expected a CT, an MRI or both"
        ) as caught:
            client.infer("brain_fusion", tensors)
        assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert triton.generate("brain_fusion", ct="", mri="").status == 400
    assert triton.generate("brain_fusion").status == 400  # no input at all: Triton's own sentence
    with Client(triton.grpc_url) as medserve, pytest.raises(InvalidInput) as refused:
        medserve.predict("brain_fusion")
    assert refused.value.code == "empty"
    assert triton.generate("brain_fusion", ct=base64.b64encode(picture(1)).decode()).status == 200


def test_a_broken_file_says_which_of_the_two(triton: Live) -> None:
    with Client(triton.grpc_url) as client, pytest.raises(InvalidInput, match="mri: expected") as caught:
        client.predict("brain_fusion", ct=picture(1), mri=picture(2)[:-900])
    assert caught.value.code == "corrupt_image"
