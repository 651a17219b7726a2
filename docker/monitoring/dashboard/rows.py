"""What is shown, from promises down to machines. The rules' own records are used where there are any."""

from __future__ import annotations

from panels import Kind, Panel, Query, Row, Variable

CLASS = 'namespace=~"$namespace", medserve_class=~"$medserve_class"'
SERVER = f'{CLASS}, instance=~"$instance"'
CALLS = f'{SERVER}, model=~"$model"'  # of what callers name
STEPS = f'{SERVER}, model=~"$step"'  # of what works for them
_NOT_CALLED = ".+_net|preprocess_.+|featurize_.+|report|describe"

VARIABLES = (
    Variable("namespace", "Namespace", "label_values(medserve_state, namespace)"),
    Variable("medserve_class", "Class", 'label_values(medserve_state{namespace=~"$namespace"}, medserve_class)'),
    Variable("instance", "Server", f'label_values(up{{job="medserve", {CLASS}}}, instance)'),
    Variable(
        "model", "Model", f'label_values(nv_inference_request_success{{model!~"{_NOT_CALLED}"}}, model)', everything=""
    ),
    Variable(
        "step", "Step", f'label_values(nv_inference_request_success{{model=~"{_NOT_CALLED}"}}, model)', everything=""
    ),
)
ALERTS = f'ALERTS{{alertname=~"MedServe.+", alertstate="firing", {CLASS}}}'
RESTARTS = f"increase(medserve_restarts_total{{{SERVER}}}[1m]) > 0"


def _rate(metric: str, by: str, of: str = STEPS, more: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{of}{more}}}[$__rate_interval]))"


def _quantile(quantile: str) -> tuple[Query, ...]:
    """The worst server's: quantiles of several cannot be added up."""
    metric = f'nv_inference_request_summary_us{{quantile="{quantile}", {CALLS}}}'
    return (Query(f"max by (model, version) ({metric}) / 1e6", "{{model}} v{{version}}"),)


def _recorded(name: str, of: str = "$step") -> str:
    return f'{name}{{{CLASS}, model=~"{of}"}}'


PROMISES = Row(
    "Promises: 95% of calls under 500 ms, 99.9% without a fault of ours",
    (
        Panel(
            "Servers that serve",
            "Below the number of replicas: see the row Servers for which, and since when.",
            "short",
            (Query(f'sum(medserve_state{{state="serving", {SERVER}}})'),),
            width=4,
            kind=Kind.NUMBER,
        ),
        Panel(
            "Models not ready",
            "Anything but 0 while no server starts or drains is a model that answers nobody somewhere.",
            "short",
            (Query(f"sum(1 - medserve_model_ready{{{SERVER}}})"),),
            width=4,
            kind=Kind.NUMBER,
            steps=((1, "red"),),
        ),
        Panel(
            "Answers",
            "Calls answered a second, over all chosen models.",
            "reqps",
            (Query(f"sum(rate(nv_inference_request_success{{{CALLS}}}[$__rate_interval]))"),),
            width=4,
            kind=Kind.NUMBER,
        ),
        Panel(
            "95th percentile, worst",
            "Of any model on any server, over its last 60 s. Nothing where nobody called.",
            "s",
            (Query(f'max(nv_inference_request_summary_us{{quantile="0.95", {CALLS}}}) / 1e6'),),
            width=4,
            kind=Kind.NUMBER,
            steps=((0.4, "orange"), (0.5, "red")),
        ),
        Panel(
            "Latency budget left",
            "Of 30 days, of the model with least; or of as long as Prometheus keeps. Below 0 the promise is broken.",
            "percentunit",
            (Query(f"min({_recorded('medserve:slow:budget30d', '$model')})"),),
            width=4,
            kind=Kind.NUMBER,
            steps=((-1e9, "red"), (0.1, "orange"), (0.5, "green")),
        ),
        Panel(
            "Error budget left",
            "Of 30 days; or of as long as Prometheus keeps. Below 0 the promise is broken.",
            "percentunit",
            (Query(f"min(medserve:faults:budget30d{{{CLASS}}})"),),
            width=4,
            kind=Kind.NUMBER,
            steps=((-1e9, "red"), (0.1, "orange"), (0.5, "green")),
        ),
        Panel(
            "How fast the latency budget burns",
            "1: it lasts exactly the month. Over 14.4 for an hour, or 6 for six, somebody is woken.",
            "suffix:×",
            (
                Query(f"{_recorded('medserve:slow:share1h', '$model')} / 0.01", "{{model}} {{medserve_class}} 1 h"),
                Query(f"{_recorded('medserve:slow:share6h', '$model')} / 0.01", "{{model}} {{medserve_class}} 6 h"),
            ),
            steps=((1, "orange"), (6, "red"), (14.4, "dark-red")),
        ),
        Panel(
            "How fast the error budget burns",
            "1: it lasts exactly the month. Files refused for what they are, and callers who went away, are no errors.",
            "suffix:×",
            (
                Query(f"medserve:faults:share1h{{{CLASS}}} / 0.001", "{{medserve_class}} 1 h"),
                Query(f"medserve:faults:share6h{{{CLASS}}} / 0.001", "{{medserve_class}} 6 h"),
            ),
            steps=((1, "orange"), (6, "red"), (14.4, "dark-red")),
        ),
        Panel(
            "Alerts that fire",
            "Empty is well. What to do stands in each alert's description.",
            "short",
            (
                Query(
                    f"max by (alertname, severity, model, instance) ({ALERTS})", "{{alertname}} {{model}} {{instance}}"
                ),
            ),
            kind=Kind.STATES,
            words={"1": ("fires", "red")},
        ),
    ),
)

CALLED = Row(
    "Calls, by model and version",
    (
        Panel(
            "Median latency", "Inside the server, of the slowest server: no network, no proxy.", "s", _quantile("0.5")
        ),
        Panel(
            "95th percentile latency",
            "The promise is 500 ms, on the dashed line. Over the last 60 s of the slowest server.",
            "s",
            _quantile("0.95"),
            steps=((0.5, "red"),),
        ),
        Panel("99th percentile latency", "Far above the 95th: single large files, or pauses.", "s", _quantile("0.99")),
        Panel(
            "Throughput",
            "Calls answered. Falling while queues grow: the server has become slower, not its callers.",
            "reqps",
            (Query(_rate("nv_inference_request_success", "model, version", CALLS), "{{model}} v{{version}}"),),
            kind=Kind.STACKED,
        ),
        Panel(
            "Calls that failed, by Triton's reason",
            "Refused files and our faults alike: the rows below say which. Triton 2.51 counts each twice, as OTHER.",
            "reqps",
            (Query(_rate("nv_inference_request_failure", "model, reason", CALLS), "{{model}} {{reason}}"),),
        ),
        Panel(
            "Mean time of a call",
            "Beside the median: far above it means few very slow calls.",
            "s",
            (
                Query(
                    f"{_rate('nv_inference_request_duration_us', 'model, version', CALLS)} / 1e6"
                    f" / ({_rate('nv_inference_request_success', 'model, version', CALLS)} > 0)",
                    "{{model}} v{{version}}",
                ),
            ),
        ),
    ),
)

QUEUES = Row(
    "Queues and batches, by step",
    (
        Panel(
            "Waiting now",
            "Grows without end: more comes than is answered. The step with the long queue is the narrow one.",
            "short",
            (Query(_recorded("medserve:waiting"), "{{model}} {{medserve_class}}"),),
        ),
        Panel(
            "Time in the queue",
            "Half of the promise on the dashed line. All of it is load; none of it is work.",
            "s",
            (Query(_recorded("medserve:queue_seconds:mean1m"), "{{model}} {{medserve_class}}"),),
            steps=((0.25, "orange"),),
        ),
        Panel(
            "Time at work",
            "Of a request's batch. Up at the same batch size: a slower machine, another profile, larger files.",
            "s",
            (Query(_recorded("medserve:work_seconds:mean1m"), "{{model}} {{medserve_class}}"),),
        ),
        Panel(
            "Requests refused, by reason",
            "full: no place in the queue. expired: the caller's time was over. gone, left: the caller went away.",
            "reqps",
            (
                Query(_rate("medserve_worker_refused_total", "model, reason"), "{{model}} {{reason}}"),
                Query(_rate("nv_inference_request_failure", "model", STEPS, ', reason="CANCELED"'), "{{model}} left"),
            ),
        ),
        Panel(
            "Failed inside",
            "Anything but 0 is a fault of ours: the step's name is here, its error in the log.",
            "reqps",
            (Query(_rate("medserve_worker_failed_total", "model"), "{{model}}"),),
        ),
        Panel(
            "Mean batch of a network",
            "Rises with load. Smaller than a day ago at the same load: requests no longer meet.",
            "short",
            (Query(_recorded("medserve:batch:mean1h"), "{{model}} {{medserve_class}}"),),
        ),
        Panel(
            "Sizes of batches of the networks",
            "Share of batches, by items in them. All 1: no load, or callers that wait for each other.",
            "short",
            tuple(
                Query(
                    f'sum(increase(medserve_worker_batches_total{{{STEPS}, model=~".+_net", size=~"{pattern}"}}'
                    "[$__rate_interval]))",
                    name,
                )
                for name, pattern in (
                    ("1", "1"),
                    ("2 to 3", "[23]"),
                    ("4 to 7", "[4-7]"),
                    ("8 to 15", "[89]|1[0-5]"),
                    ("16 to 31", "1[6-9]|2[0-9]|3[01]"),
                    ("32 and more", "3[2-9]|[4-9][0-9]|[0-9]{3,}"),
                )
            ),
            width=16,
            kind=Kind.SHARES,
        ),
        Panel(
            "Items a second, of the networks",
            "What the machines really compute: a request may hold several pictures.",
            "suffix: items/s",
            (Query(_recorded("medserve:items:rate1h"), "{{model}} {{medserve_class}} 1 h"),),
        ),
    ),
)

FILES = Row(
    "Files: what is sent, and what is not taken",
    (
        Panel(
            "Files read, by format",
            "A format that vanishes or appears: somebody's exporter has changed.",
            "suffix: files/s",
            (Query(_rate("medserve_input_total", "format"), "{{format}}"),),
            kind=Kind.STACKED,
        ),
        Panel(
            "Files refused, by reason",
            "The codes are README's. wrong_modality: the wrong model is asked. corrupt_image: cut on the way.",
            "suffix: files/s",
            (Query(_rate("medserve_input_refused_total", "model, reason"), "{{model}} {{reason}}"),),
        ),
        Panel(
            "Share of files refused",
            "Over a fifth is a broken sender, on the dashed line.",
            "percentunit",
            (Query(_recorded("medserve:inputs_refused:share15m"), "{{model}} {{medserve_class}}"),),
            steps=((0.2, "orange"),),
        ),
        Panel(
            "Pixels of a picture",
            "Mean, before it is made small. Reading takes longer in proportion.",
            "short",
            (
                Query(
                    f"{_rate('medserve_input_pixels_total', 'model')} / ({_rate('medserve_input_total', 'model')} > 0)",
                    "{{model}}",
                ),
            ),
        ),
        Panel(
            "Bytes of a file",
            "Mean, decoded where it travels as text.",
            "decbytes",
            (
                Query(
                    f"{_rate('medserve_input_bytes_total', 'model')} / ({_rate('medserve_input_total', 'model')} > 0)",
                    "{{model}}",
                ),
            ),
        ),
        Panel(
            "Bytes read",
            "Of files, in all.",
            "Bps",
            (Query(_rate("medserve_input_bytes_total", "model"), "{{model}}"),),
            kind=Kind.STACKED,
        ),
    ),
)

_STATES = ("serving", "starting", "restarting", "draining")  # server.health.State, each shown as its place here

SERVERS = Row(
    "Servers",
    (
        Panel(
            "What each launcher does",
            "Restarting: Triton or a worker of it died. Behind the name: the profile, which says what files it serves.",
            "short",
            (
                Query(
                    "sum by (instance, profile) ("
                    + " or ".join(
                        f'{place} * medserve_state{{state="{state}", {SERVER}}}'
                        for place, state in enumerate(_STATES, 1)
                    )
                    + ")",
                    "{{instance}} {{profile}}",
                ),
            ),
            width=12,
            kind=Kind.STATES,
            words={
                "1": ("serving", "green"),
                "2": ("starting", "blue"),
                "3": ("restarting", "red"),
                "4": ("draining", "yellow"),
            },
        ),
        Panel(
            "On how many servers each model is ready",
            "Green: on all. While a server starts or drains it is ready on fewer; else somebody is woken.",
            "percentunit",
            (Query(f"avg by (model) (medserve_model_ready{{{SERVER}}})", "{{model}}"),),
            width=12,
            kind=Kind.STATES,
            steps=((-1, "red"), (0.01, "orange"), (1, "green")),
        ),
        Panel(
            "Restarts",
            "Of Triton, in the last quarter of an hour. Each lost the calls under way.",
            "short",
            (Query(f"increase(medserve_restarts_total{{{SERVER}}}[15m])", "{{instance}}"),),
        ),
        Panel(
            "Memory, by part",
            "Workers hold the networks and what waits. What grows for days and never falls is not given back.",
            "bytes",
            (Query(f"sum by (part) (medserve_memory_bytes{{{SERVER}}})", "{{part}}"),),
            kind=Kind.STACKED,
        ),
        Panel(
            "Share of the memory that a server may hold",
            "Over nine tenths, on the dashed line, the kernel may soon end it.",
            "percentunit",
            (
                Query(
                    f"sum by (instance) (medserve_memory_bytes{{{SERVER}}})"
                    f" / on (instance) max by (instance) (medserve_memory_limit_bytes{{{SERVER}}})",
                    "{{instance}}",
                ),
            ),
            steps=((0.9, "red"),),
            most=1,
        ),
        Panel(
            "CPU of the machine",
            "Busy and slow: its limit. Idle and slow: callers that wait for each other, or a GPU that is the limit.",
            "percentunit",
            (Query(f"max by (instance) (nv_cpu_utilization{{{SERVER}}})", "{{instance}}"),),
            most=1,
        ),
        Panel(
            "Memory of the machine in use",
            "By whomever: neighbours count here.",
            "percentunit",
            (
                Query(
                    f"max by (instance) (nv_cpu_memory_used_bytes{{{SERVER}}} / nv_cpu_memory_total_bytes{{{SERVER}}})",
                    "{{instance}}",
                ),
            ),
            most=1,
        ),
        Panel(
            "Ports that answer Prometheus",
            "metrics is Triton's, health the launcher's. Both on each server.",
            "short",
            (Query(f'sum by (endpoint) (up{{job="medserve", {SERVER}}})', "{{endpoint}}"),),
        ),
    ),
)

GPUS = Row(
    "GPUs",
    (
        Panel(
            "Busy",
            "Low while a queue is long: the GPU waits for files to be read; see Time in the queue by step.",
            "percentunit",
            (Query(f"max by (instance, gpu_uuid) (nv_gpu_utilization{{{SERVER}}})", "{{instance}} {{gpu_uuid}}"),),
            most=1,
        ),
        Panel(
            "Memory",
            "Constant once all plans are loaded.",
            "bytes",
            (
                Query(
                    f"max by (instance, gpu_uuid) (nv_gpu_memory_used_bytes{{{SERVER}}})", "{{instance}} {{gpu_uuid}}"
                ),
            ),
        ),
        Panel(
            "Power",
            "At its limit the clock falls, and work takes longer.",
            "watt",
            (
                Query(f"max by (instance, gpu_uuid) (nv_gpu_power_usage{{{SERVER}}})", "{{instance}} {{gpu_uuid}}"),
                Query(f"max by (instance) (nv_gpu_power_limit{{{SERVER}}})", "{{instance}} limit"),
            ),
        ),
    ),
    collapsed=True,
)

ROWS = (PROMISES, CALLED, QUEUES, FILES, SERVERS, GPUS)
