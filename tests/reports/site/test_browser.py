"""The site in headless Chromium: sorting, filtering, keyboard, phone and paper, and nothing from outside."""

import shutil

import pytest

BOARD = "boards/mos2-mini-r1-test-hamiltonian.html"
TIMEOUT = 120_000
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
CONTRAST = """selector => {
  const light = c => { const [r, g, b] = c.match(/[0-9.]+/g).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const back = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if (c !== "rgba(0, 0, 0, 0)") return light(c); } return 1; };
  return Math.min(...[...document.querySelectorAll(selector)].map(
    e => (back(e) + 0.05) / (light(getComputedStyle(e).color) + 0.05)));
}"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, site):
    """Function that opens a page; whatever the page complains about or requests from outside fails the test."""
    wrong, contexts = [], []

    def load(address, viewport=DESKTOP):
        contexts.append(browser.new_context(viewport=viewport))
        contexts[-1].set_default_timeout(TIMEOUT)
        page = contexts[-1].new_page()
        page.on("console", lambda message: wrong.append(f"{address}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"{address}: {error}"))
        page.on("requestfailed", lambda request: wrong.append(f"{address}: {request.url[:80]}"))
        page.on("request", lambda r: r.url.startswith(("file:", "data:")) or wrong.append(f"{address}: {r.url}"))
        page.goto((site / address).as_uri())
        page.wait_for_selector("html[data-tables=ready]")
        return page

    yield load
    for context in contexts:
        context.close()
    assert not wrong


def column(page, table, heading):
    """Texts of a column, from top to bottom."""
    headings = page.locator(f"{table} thead th .dt-column-title").all_inner_texts()
    return page.locator(f"{table} tbody tr > :nth-child({1 + headings.index(heading)})").all_inner_texts()


def header(page, table, heading):
    return page.locator(f"{table} thead th", has=page.get_by_text(heading, exact=True))


def sort_by(page, table, heading, direction):
    """Click a heading and wait until the table says that it is sorted so."""
    header(page, table, heading).click()
    page.locator(f"{table} thead th[aria-sort={direction}]", has=page.get_by_text(heading, exact=True)).wait_for()


def numbers(texts):
    return [float(text.split()[0].replace(",", "")) for text in texts]


def test_sorting(open_page):
    page, table, heading = open_page(BOARD), "#table-main", "MAE all (meV)"
    assert header(page, table, heading).get_attribute("aria-sort") is None
    for direction in ("ascending", "descending"):
        sort_by(page, table, heading, direction)
        values = numbers(column(page, table, heading))
        assert values == sorted(values, reverse=direction == "descending")
        assert len(values) == 4


def test_missing_numbers_come_last_both_ways(open_page):
    page, table, heading = open_page(BOARD), "#table-physics", "rotation"
    for direction in ("ascending", "descending"):
        sort_by(page, table, heading, direction)
        texts = column(page, table, heading)
        assert texts[0] == "2e-06"
        assert all(text.startswith("n/a") for text in texts[1:])


def test_keyboard(open_page):
    page, table = open_page(BOARD), "#table-main"
    button = header(page, table, "parameters").locator("[role=button]")
    button.focus()
    assert "sort" in button.get_attribute("aria-label").lower()
    page.keyboard.press("Enter")
    page.locator(f"{table} thead th[aria-sort=ascending]", has=page.get_by_text("parameters", exact=True)).wait_for()
    page.reload()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"


def test_filtering(open_page):
    page, table = open_page(BOARD), "#table-main"
    field = page.locator(f".dt-container:has({table}) input[type=search]")
    assert page.locator(f"label[for={field.get_attribute('id')}]").inner_text() == "Filter rows"
    field.fill("qhnet")
    assert column(page, table, "run") == ["qhnet-1"]
    assert page.locator(f".dt-container:has({table}) [role=status]").inner_text() == "1 rows of 4"
    field.fill("no such model")
    assert page.locator(f"{table} tbody").inner_text() == "no row matches"
    field.fill("")
    assert len(column(page, table, "run")) == 4


def test_links_are_followed(open_page):
    page = open_page("index.html")
    page.locator("#table-overview tbody a", has_text="mos2-mini").first.click()
    assert page.url.endswith(BOARD)
    page.locator("#table-main tbody a", has_text="slem-1").click()
    assert "runs/mos2-mini-slem-slem-1" in page.url
    page.get_by_role("link", name="Submit", exact=True).click()
    assert page.locator("h1").inner_text() == "How to submit"


def test_no_page_is_wider_than_a_phone_or_complains(open_page, site):
    for path in sorted(site.rglob("*.html")):
        page = open_page(path.relative_to(site).as_posix(), PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
        assert page.evaluate("[...document.querySelectorAll('.dt-layout-table')].every(e => e.tabIndex === 0)"), path


def test_the_words_for_a_screen_reader(open_page):
    page = open_page(BOARD)
    assert page.get_by_role("main").count() == 1
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("region", name="Measured here").count() == 1
    assert page.locator("#table-main caption").inner_text() == "Measured here"
    assert page.locator("#table-main tbody tr").first.get_by_role("rowheader").inner_text() == "slem-1"
    assert page.locator("th:not([scope])").count() == 0


def test_contrast(open_page):
    page = open_page(BOARD)
    assert page.evaluate(CONTRAST, "main *, header *, footer") > 4.5


def test_on_paper_nothing_is_cut_and_no_control_is_printed(open_page):
    page = open_page(BOARD)
    page.emulate_media(media="print")
    assert not page.locator(".dt-search").first.is_visible()
    assert not page.locator("header nav a", has_text="Metrics").is_visible()
    cut = "[...document.querySelectorAll('.dt-layout-table')].some(e => getComputedStyle(e).overflowX !== 'visible')"
    assert not page.evaluate(cut)
    assert page.pdf(format="A4", landscape=True).startswith(b"%PDF")
