"""Debian's Chromium without a screen, driven by Selenium; and what a person would see in it."""

import base64
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

CHROMIUM = "/usr/bin/chromium"
DRIVER = "/usr/bin/chromedriver"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--disable-extensions", "--no-proxy-server", "--hide-scrollbars",
)  # fmt: skip
PAGE_TIMEOUT_S = 30

WIDE = (1280, 900)
NARROW = (360, 740)


def missing() -> str:
    """What is not installed, or "" if all is there."""
    return ", ".join(
        name for name, path in (("chromium", CHROMIUM), ("chromium-driver", DRIVER)) if not shutil.which(path)
    )


class Browser:
    """A page in a browser. Elements are named by their ids."""

    def __init__(self, driver: webdriver.Chrome):
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)

    def element(self, name: str):
        return self.driver.find_element(By.ID, name)

    def all(self, selector: str) -> list:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, name: str) -> str:
        """The text as it is in the document, white space and what is scrolled away included."""
        return self.element(name).get_property("textContent")

    def texts(self, selector: str) -> list[str]:
        """The texts of all that match, as they are at one moment."""
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector)

    def lines(self) -> list[str]:
        return self.texts("#output > div")

    def field(self, form: str, name: str):
        return self.driver.find_element(By.CSS_SELECTOR, f"#{form} [name={name}]")

    def fill(self, form: str, name: str, value: str) -> None:
        field = self.field(form, name)
        field.clear()
        field.send_keys(value)

    def press_tab(self) -> None:
        ActionChains(self.driver).send_keys(Keys.TAB).perform()

    @contextmanager
    def at_start(self, script: str):
        """Pages that are opened meanwhile run script before their own."""
        added = self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)

    def run(self, script: str, *arguments: object) -> object:
        return self.driver.execute_script(script, *arguments)

    def complaints(self) -> list[str]:
        """What the browser has complained of since the last time: errors, refused loads, broken policies."""
        return [r["message"] for r in self.driver.get_log("browser") if r["level"] in ("SEVERE", "WARNING")]

    def look(self, size: tuple[int, int], scheme: str) -> None:
        """A window of this size, and the light or dark scheme."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False,
        })  # fmt: skip
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": scheme}],
        })  # fmt: skip

    def picture(self, file: Path) -> None:
        """The whole page, also what is below the window."""
        size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        picture = self.driver.execute_cdp_cmd("Page.captureScreenshot", {
            "format": "png", "captureBeyondViewport": True,
            "clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1},
        })  # fmt: skip
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(base64.b64decode(picture["data"]))


@contextmanager
def browser(directory: Path):
    """A browser whose profile lies in directory."""
    options = Options()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={directory}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")} | {"HOME": str(directory)}
    driver = webdriver.Chrome(options, Service(DRIVER, env=environment))
    try:
        driver.set_page_load_timeout(PAGE_TIMEOUT_S)
        driver.set_script_timeout(PAGE_TIMEOUT_S)
        yield Browser(driver)
    finally:
        driver.quit()
