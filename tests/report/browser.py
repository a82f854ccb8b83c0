"""The system's Chromium without a window, and what it notices while a page is open."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
DESK, PHONE = (1280, 900), (390, 844)


class Browser:
    """A Chromium that keeps what pages say on the console and ask of the network."""

    def __init__(self) -> None:
        options = ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for switch in (
            *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"),
            *("--disable-background-networking", "--no-first-run", "--hide-scrollbars"),
            *(
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                "--force-prefers-reduced-motion",
            ),
        ):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = Chrome(options=options, service=Service(str(DRIVER)))
        self.driver.set_page_load_timeout(60)
        self.driver.set_script_timeout(90)

    def open(self, page: Path, size: tuple[int, int] = DESK, *, dark: bool = False) -> None:
        """Opens a file as a reader does, and waits until its figures are there."""
        self.noticed()
        self.visit(page.resolve().as_uri(), size, dark=dark)
        self.wait_for(lambda: self.run("return document.documentElement.dataset.figures"))

    def visit(self, url: str, size: tuple[int, int], *, dark: bool = False) -> None:
        """Goes to an address."""
        width, height = size
        view = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        self._devtools("Emulation.setDeviceMetricsOverride", view)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._devtools("Emulation.setEmulatedMedia", {"features": scheme})
        self.driver.get(url)

    def noticed(self) -> tuple[list[str], list[str]]:
        """Since the last call: what the console was warned of, and the addresses asked for."""
        console = [
            entry["message"]
            for entry in self.driver.get_log("browser")  # type: ignore[no-untyped-call]
            if entry["level"] in ("SEVERE", "WARNING")
        ]
        asked = []
        for entry in self.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                asked.append(message["params"]["request"]["url"])
        return console, [url for url in asked if not url.startswith(("data:", "blob:"))]

    def run(self, script: str, *values: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *values)

    def find(self, selector: str) -> WebElement:
        """The first element, scrolled into view."""
        element = self.driver.find_element(By.CSS_SELECTOR, selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        return element

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that can be seen."""
        return list(
            self.run(
                "return [...document.querySelectorAll(arguments[0])]"
                ".filter(e => e.offsetParent).map(e => e.innerText.trim())",
                selector,
            )
        )

    def wait_for(self, holds: Callable[[], Any], seconds: float = 60) -> None:
        """Waits until something holds."""
        until = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < until, "it did not come about"
            time.sleep(0.05)

    def draw_all(self) -> None:
        """Scrolls past every figure, as a reader does, until all are drawn."""
        undrawn = (
            "const left = [...document.querySelectorAll('[data-figure]')]"
            ".filter(f => !f.querySelector('.main-svg'));"
            "left[0]?.scrollIntoView({block: 'center'}); return left.length"
        )
        self.wait_for(lambda: self.run(undrawn) == 0)
        self.run("scrollTo(0, 0)")

    def frames_while_scrolling(self) -> list[float]:
        """Milliseconds between frames while the page scrolls from top to bottom."""
        script = """
            const done = arguments[0], gaps = [];
            let last = performance.now(), at = 0;
            const step = (now) => {
                gaps.push(now - last); last = now; at += 60; scrollTo(0, at);
                const whole = document.documentElement.scrollHeight;
                at < whole ? requestAnimationFrame(step) : done(gaps);
            };
            requestAnimationFrame(step);
        """
        return list(self.driver.execute_async_script(script))

    def picture(self, file: Path, selector: str | None = None) -> None:
        """Takes a picture of what can be seen, or of one element."""
        if selector is None:
            self.driver.save_screenshot(str(file))
        else:
            self.find(selector).screenshot(str(file))

    def close(self) -> None:
        """Ends it."""
        self.driver.quit()

    def _devtools(self, command: str, values: dict[str, Any]) -> None:
        self.driver.execute_cdp_cmd(command, values)
