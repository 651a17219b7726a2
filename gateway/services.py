"""What the routes work with, made once for each process."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from prometheus_client import CollectorRegistry

from gateway.audit import AuditLog
from gateway.catalogue import Catalogue
from gateway.drift import Monitor
from gateway.predicting.predictor import Predictor
from gateway.settings import Settings
from medserve import AsyncClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Of one application."""

    settings: Settings
    client: AsyncClient
    catalogue: Catalogue
    predictor: Predictor
    audit: AuditLog
    monitor: Monitor
    registry: CollectorRegistry

    @classmethod
    def of(cls, request: Request) -> Services:
        """The request's application's."""
        found: Services = request.app.state.services
        return found
