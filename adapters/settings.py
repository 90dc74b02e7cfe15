"""What an operator may set: the environment, checked once. A command's own options come before it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _without_slash(url: HttpUrl) -> str:
    return str(url).rstrip("/")


BaseUrl = Annotated[HttpUrl, AfterValidator(_without_slash)]


class Settings(BaseSettings):
    """Every field is `PASSBOOK_…` in the environment."""

    model_config = SettingsConfigDict(
        env_prefix="PASSBOOK_", env_ignore_empty=True, hide_input_in_errors=True, extra="ignore"
    )

    data: Path = Field(
        Path("data"), description="The folder that holds the log, the keys and the read models."
    )
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    public_url: BaseUrl | None = Field(
        None, description="How browsers reach this service; http://HOST:PORT where it is not given."
    )
    master_key_file: Path | None = Field(
        None, description="The file that holds the master key; beside the data folder where it is not given."
    )
    api_key: SecretStr | None = Field(
        None, description="A key for tenant `default`, valid while it is set and never stored."
    )
    budget_insight_url: BaseUrl | None = Field(
        None, description="In place of https://{domain}.biapi.pro, paths unchanged."
    )
    budget_insight_requests_per_minute: int = Field(
        600, ge=1, le=1_000_000, description="How many requests a minute one tenant's account there may send."
    )
    webview_url: BaseUrl | None = Field(
        None, description="In place of https://webview.powens.com, paths unchanged."
    )
    webhook_pause: float = Field(
        3.0, ge=0.1, le=600, description="Seconds to wait for the webhooks that come along with one."
    )
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
