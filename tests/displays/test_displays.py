"""What values look like: figures, images and frames as blocks for a card and parts for a model."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentstream import ToolOutputImage, ToolOutputText, UserError
from agentstream.displays import (
    MOST_CHARACTERS,
    displayed,
    image_of,
    image_of_url,
    is_displayed,
    thumbnail,
)
from agentstream.displays.images import LONGEST_SIDE, MOST_BYTES, encode_png
from agentstream.tools.output import displayed_output
from tests.displays.plots import plt, without_windows  # noqa: F401 - a fixture for all tests here

Image = pytest.importorskip("PIL.Image")


def plot(**labels: str) -> Any:
    figure, axes = plt.subplots()
    axes.plot([1, 2, 3], label="sales")
    axes.set(**labels)
    return figure


def frame(rows: int = 1_000) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "city": ["Lisbon", "Porto"] * (rows // 2) + ["Faro"] * (rows % 2),
            "t": np.linspace(0, 40, rows),
            "day": pd.date_range("2024-01-01", periods=rows),
        }
    )


def shown(value: Any, **how: Any) -> Any:
    found = displayed(value, **how)
    assert found is not None
    return found


def texts(found: Any) -> str:
    return "\n".join(part["text"] for part in found.parts if part["type"] == "input_text")


def images(found: Any) -> list[Any]:
    return [
        image_of_url(part["image_url"]) for part in found.parts if part["type"] == "input_image"
    ]


def kinds(found: Any) -> list[str]:
    return [block["type"] for block in found.blocks]


# -- figures and images --


def test_a_matplotlib_figure_is_a_picture_and_its_labels_are_told() -> None:
    found = shown(plot(title="Sales", xlabel="month", ylabel="EUR"))
    (picture,) = images(found)
    assert picture.kind == "png"
    assert kinds(found) == ["image"]
    for word in ("Figure", picture.measure, "Sales", "month", "EUR", "sales", "1 line"):
        assert word in texts(found)


def test_a_figure_is_closed_once_it_is_drawn() -> None:
    shown([plot(), {"b": plot()}])
    assert plt.get_fignums() == []


@pytest.mark.parametrize("of", [lambda f: f.axes[0], lambda f: np.array([f.axes[0]])], ids="ab")
def test_axes_stand_for_their_figure(of: Any) -> None:
    figure = plot(title="Sales")
    found = shown(of(figure))
    assert len(images(found)) == 1
    assert "Sales" in texts(found)
    assert plt.get_fignums() == []


def test_a_figure_without_axes_says_so() -> None:
    found = shown(plt.figure())
    assert len(images(found)) == 1
    assert "no axes" in texts(found)


def test_a_figure_that_cannot_be_drawn_says_why() -> None:
    figure = plot(title=r"$\unknown{$")
    found = shown(figure)
    assert images(found) == []
    assert "could not be drawn: ValueError" in texts(found)
    assert kinds(found) == ["text"]


@pytest.mark.parametrize("size", [(100, 80), (3, 300), (0.1, 0.1)])
def test_a_huge_figure_is_drawn_within_the_budget(size: tuple[float, float]) -> None:
    (picture,) = images(shown(plt.figure(figsize=size)))
    assert max(picture.size) <= LONGEST_SIDE
    assert len(picture.data) <= MOST_BYTES


@pytest.mark.slow
def test_a_figure_with_something_far_away_is_drawn_all_the_same() -> None:
    figure = plot()
    figure.axes[0].annotate("far", (0.5, 400), xycoords="axes fraction", annotation_clip=False)
    (picture,) = images(shown(figure))
    assert max(picture.size) <= LONGEST_SIDE


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "F", "I", "LA", "HSV"])
def test_an_image_of_any_mode_is_a_picture(mode: str) -> None:
    (picture,) = images(shown(Image.new(mode, (30, 20))))
    assert picture.size == (30, 20)


@pytest.mark.slow
def test_a_huge_image_is_made_smaller() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (3_000, 4_000, 4), dtype="uint8")
    found = shown(Image.fromarray(noise, "RGBA"))
    (picture,) = images(found)
    assert max(picture.size) <= LONGEST_SIDE
    assert len(picture.data) <= MOST_BYTES
    assert "from 4000 × 3000" in texts(found)


def test_bytes_of_a_picture_are_one_and_others_are_not() -> None:
    data = encode_png(3, 2, 3, bytes(18))
    (picture,) = images(shown(data))
    assert picture.data == data
    assert displayed(b"no picture") is None


def test_plotly_without_kaleido_is_a_table_of_its_traces() -> None:
    go = pytest.importorskip("plotly.graph_objects")
    found = shown(go.Figure(go.Scatter(x=[1, 2], y=[3.5, 4.0], name="Lisbon"), {"title": "Heat"}))
    if not images(found):
        assert kinds(found) == ["text", "table"]
        assert "kaleido" in texts(found)
    for word in ("Heat", "Lisbon", "2 points", "3.5 to 4"):
        assert word in texts(found)


@pytest.mark.slow
def test_an_altair_chart_is_a_picture_and_its_encoding_is_told() -> None:
    alt = pytest.importorskip("altair")
    pytest.importorskip("vl_convert")
    found = shown(alt.Chart(frame(4)).mark_line().encode(x="day:T", y="t:Q"))
    assert len(images(found)) == 1
    assert '"field": "t"' in texts(found)
    assert "Lisbon" not in texts(found)


# -- frames --


def test_a_frame_is_told_by_shape_types_head_and_summary() -> None:
    found = shown(frame())
    told = texts(found)
    assert kinds(found) == ["table"]
    for word in ("1,000 rows × 3 columns", "t (float64)", "Lisbon,0,2024-01-01", "min 0, mean 20"):
        assert word in told
    assert "2 distinct" in told
    assert len(told) < MOST_CHARACTERS


def test_a_small_frame_is_told_whole_and_without_a_summary() -> None:
    told = texts(shown(frame(5)))
    assert "all rows:" in told
    assert "Faro,40," in told
    assert "summary" not in told


def test_polars_is_told_as_pandas() -> None:
    pl = pytest.importorskip("polars")
    ours, theirs = texts(shown(frame(300))), texts(shown(pl.from_pandas(frame(300))))
    assert ours.splitlines()[2:] == theirs.splitlines()[2:]
    assert kinds(shown(pl.Series("a", [1, 2, None]))) == ["table"]
    assert "4,000 missing" in texts(shown(pl.Series("a", [1, None] * 4_000)))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_odd_frames_are_told_within_the_budget(library: str) -> None:
    frames: list[Any]
    if library == "pandas":
        index = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["k", None])
        frames = [
            pd.DataFrame(),
            pd.DataFrame(columns=["a", "a"]),
            pd.DataFrame({"a": [[1], {2}, None, object()]}),
            pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]),
            pd.DataFrame(
                [[1, 2]] * 4, index=index, columns=pd.MultiIndex.from_tuples([(1, 2), (3, 4)])
            ),
            pd.DataFrame(np.zeros((3, 5_000))),
            pd.DataFrame({"x" * 10_000: ["y" * 10_000, 'a,\n"b"']}),
            pd.DataFrame({"a": pd.Categorical(["u", "v"]), "b": pd.array([1, None], "Int64")}),
            pd.DataFrame({"a": [float("nan"), float("inf")], "b": [pd.NaT, pd.Timedelta("1h")]}),
            pd.DataFrame({"a": [10**400, True]}),
            pd.Series([1, 2], index=["u", "v"]),
        ]
    else:
        pl = pytest.importorskip("polars")
        frames = [
            pl.DataFrame(),
            pl.DataFrame({"a": [[1, 2], []]}),
            pl.DataFrame({"a": [{"b": 1}] * 900}),
            pl.DataFrame({f"c{at}": [0] for at in range(3_000)}),
            pl.DataFrame({"a": [None, None]}),
        ]
    for one in frames:
        for budget in (100, 300, MOST_CHARACTERS):
            assert len(texts(shown(one, budget=budget))) <= budget


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=9), st.none() | st.floats() | st.text() | st.integers(), max_size=6
    ),
    st.integers(0, 400),
    st.integers(100, 2_000),
)
def test_any_frame_is_told_within_any_budget(row: dict[str, Any], rows: int, budget: int) -> None:
    found = shown(pd.DataFrame([row] * rows), budget=budget)
    assert len(texts(found)) <= budget
    assert kinds(found) == ["table"]


def test_a_styler_keeps_its_format_and_tells_its_data() -> None:
    found = shown(frame(4).style.format({"t": "{:.1f} °C"}))
    assert kinds(found) == ["html"]
    assert "40.0 °C" in found.blocks[0]["html"]
    assert "t (float64)" in texts(found)


def test_a_large_styler_is_shown_as_a_table_of_its_data() -> None:
    assert kinds(shown(frame(100_000).style)) == ["table"]


def test_arrays_are_told_by_shape_and_range() -> None:
    told = texts(shown(np.arange(1e6).reshape(1000, 1000)))
    assert "shape (1000, 1000), float64" in told
    assert "max 999999" in told
    assert kinds(shown(np.arange(3))) == ["table"]
    assert kinds(shown(np.zeros((2, 2, 2)))) == ["text"]
    assert displayed(np.float64(3.0)) is None


# -- objects of the author's --


def test_an_object_is_shown_as_it_shows_itself() -> None:
    class Drawn:
        def _repr_svg_(self) -> str:
            return "<svg></svg>"

        def __str__(self) -> str:
            return "a drawing"

    found = shown(Drawn())
    assert kinds(found) == ["svg"]
    assert texts(found) == "a drawing"


def test_a_bundle_is_taken_without_what_moves() -> None:
    class Widget:
        def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
            return {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "Widget()"}

    assert displayed(Widget()) is None


def test_an_object_whose_reprs_raise_says_so() -> None:
    class Broken:
        def _repr_png_(self) -> bytes:
            raise ValueError("no")

        def __repr__(self) -> str:
            raise RuntimeError("nor this")

    class Half(Broken):
        def _repr_html_(self) -> str:
            return "<b>whole</b>"

    assert "could not be displayed" in texts(shown(Broken()))
    assert kinds(shown(Half())) == ["html"]
    assert "its text cannot be made (RuntimeError" in texts(shown(Half()))


def test_the_formatters_of_ipython_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from IPython.core.formatters import DisplayFormatter
    from IPython.core.getipython import get_ipython

    class Mine:
        pass

    formatter = DisplayFormatter()
    formatter.formatters["text/html"].for_type(Mine, lambda mine: "<i>mine</i>")
    assert displayed(Mine()) is None
    shell = type("Shell", (), {"display_formatter": formatter})()
    monkeypatch.setattr(sys.modules[get_ipython.__module__], "get_ipython", lambda: shell)
    assert shown(Mine()).blocks[0]["html"] == "<i>mine</i>"


# -- in lists, dicts and tuples --


def test_what_is_in_a_list_is_told_one_after_the_other() -> None:
    found = shown(["The plot:", plot(), frame(2)])
    assert [part["type"] for part in found.parts] == [
        "input_text",
        "input_text",
        "input_image",
        "input_text",
    ]
    assert kinds(found) == ["text", "image", "table"]


def test_what_is_in_a_dict_is_named_in_its_text() -> None:
    found = shown({"plot": plot(), "mean": 21.4, "more": {"data": (frame(2),)}})
    assert "'mean': 21.4" in texts(found)
    assert "{'plot': <1: Figure" in texts(found)
    assert "\n<2>: DataFrame" in texts(found)
    assert kinds(found) == ["text", "image", "table"]


def test_a_named_tuple_keeps_its_names() -> None:
    class Fit(NamedTuple):
        slope: float
        plot: Any

    assert "'slope': 0.5" in texts(shown(Fit(0.5, plot())))


@pytest.mark.slow
def test_two_figures_are_two_pictures() -> None:
    assert len(images(shown([plot(), plot()]))) == 2


def test_of_many_figures_some_are_told_by_name() -> None:
    found = shown([Image.new("L", (2, 2))] * 100)
    assert len(images(found)) == 20
    assert "not displayed" in texts(found)


def test_parts_that_a_tool_made_itself_stay_as_they_are() -> None:
    url = "https://example.org/a.png"
    found = displayed_output(
        [ToolOutputText(text="a"), ToolOutputImage(image_url=url), frame(2)], 400
    )
    assert found is not None
    assert found.parts[:2] == [
        {"type": "input_text", "text": "a"},
        {"type": "input_image", "image_url": url},
    ]


def test_plain_values_are_nothing_to_look_at() -> None:
    loop: list[Any] = []
    loop.append(loop)
    for value in (
        None,
        1,
        "text",
        {"a": [1, (2,)]},
        object(),
        loop,
        {1, 2},
        ToolOutputText(text="a"),
    ):
        assert not is_displayed(value)
        assert displayed(value) is None


# -- ToolOutputImage.of --


def test_one_helper_makes_an_image_of_all_of_them() -> None:
    array = np.random.default_rng(1).random((20, 30))
    values: list[Any] = [
        plot(),
        plot().axes[0],
        Image.new("L", (3, 2)),
        array,
        (array > 0.5),
        frame(3),
    ]
    values += [np.zeros((4, 5, 3), "uint8"), encode_png(1, 1, 1, b"\0"), frame(3)["t"]]
    for value in values:
        image = ToolOutputImage.of(value, detail="low")
        assert image_of_url(image.image_url or "") is not None
        assert image.detail == "low"
    assert image_of_url(ToolOutputImage.of(array).image_url or "").size == (30, 20)  # type: ignore[union-attr]


def test_pixels_of_an_array_are_its_own() -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (4, 6, 3), dtype="uint8")
    picture = image_of_url(ToolOutputImage.of(pixels).image_url or "")
    assert picture is not None
    assert (np.asarray(Image.open(io.BytesIO(picture.data))) == pixels).all()


def test_what_has_no_picture_is_refused_with_a_reason() -> None:
    for value in ("text", 3, object(), np.zeros(3), np.zeros((0, 3))):
        with pytest.raises(UserError, match="There is no image of this"):
            ToolOutputImage.of(value)


# -- pictures --


@settings(deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a"]),
)
def test_any_bytes_are_a_picture_or_none(data: bytes, beginning: bytes) -> None:
    image_of(beginning + data)
    thumbnail(beginning + data, 10, 20)


def test_the_size_of_each_format_is_read() -> None:
    for kind in ("PNG", "JPEG", "GIF"):
        buffer = io.BytesIO()
        Image.new("RGB", (30, 20)).save(buffer, kind)
        picture = image_of(buffer.getvalue())
        assert picture is not None
        assert picture.size == (30, 20)


def test_none_of_the_libraries_is_imported_by_us() -> None:
    code = """
    import sys
    from agentstream.displays import displayed
    from agentstream import ToolOutputImage
    assert displayed([b"GIF89a\\1\\0\\1\\0", {"a": object()}]) is not None
    drawing = {"matplotlib", "plotly", "PIL", "altair", "polars", "pandas", "numpy", "IPython"}
    assert not drawing & set(sys.modules), drawing & set(sys.modules)
    """
    import textwrap

    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)
