"""When softfail opens an episode about itself, and its dead man's switch."""

from __future__ import annotations

from pydantic import Field, SecretStr, model_validator

from schemas.config.channels import address_fault, is_open
from schemas.fields import Duration, Part, Severity


class Health(Part):
    """Self-health: when softfail opens an episode about itself (dead letters, loss, lag, silence, channels)."""

    severity: Severity | None = Field(
        "error", description="Highest severity of such a finding; null: never open one"
    )
    window: Duration = Field(
        300.0,
        ge=5,
        le=3600,
        description="Window of shares, and how long a lag, a silence or a failing channel must last",
    )
    dead_letter_share: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Share of dead letters from which there is a warning; an error from ten times that",
    )
    lag: Duration = Field(
        300.0,
        ge=1,
        le=86_400,
        description="How far the watermark of a partition may be behind while records wait",
    )
    recovery: Duration = Field(
        60.0,
        ge=1,
        le=3600,
        description="How long a worker may take to restore the state of a partition",
    )
    dead_mans_url: SecretStr | None = Field(
        None,
        description="Dead man's switch: URL fetched while softfail is healthy: ${SOFTFAIL_DEAD_MANS_URL}",
    )
    dead_mans_interval: Duration = Field(
        60.0, ge=1, le=3600, description="Time between two fetches of that URL"
    )

    @model_validator(mode="after")
    def _dead_mans_url_is_whole(self) -> Health:
        if self.dead_mans_url is not None:
            url = self.dead_mans_url.get_secret_value()
            if fault := address_fault(url):
                raise ValueError(f"dead_mans_url: {fault}")
            if is_open(url):
                raise ValueError("dead_mans_url: is a secret and would be sent unencrypted; write https://")
        return self
