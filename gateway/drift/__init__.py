"""Whether what is asked and answered still looks like what the models were measured on.

Each answer brings numbers of its input and of itself. The last few hundred of a model are compared with the
distributions that were written when it was exported, and the radiologist's labels with the model's.
"""

from gateway.drift.monitor import Monitor
from gateway.drift.performance import Case
from gateway.drift.window import Observation

__all__ = ["Case", "Monitor", "Observation"]
