"""LaMP: reading its files, its metrics, and whole runs of the invented sample on a tiny model."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

NEEDED = ("torch", "transformers", "rouge_score")
if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
    pytest.skip(f"the benchmark needs the extras calibrate and bench ({missing[0]})", allow_module_level=True)

from app.errors import KnownError  # noqa: E402
from calibrate.edit import Edit  # noqa: E402
from calibrate.refine import mean_nll  # noqa: E402
from tests.bench import lamp_learning as learning  # noqa: E402
from tests.bench import lamp_metrics as metrics  # noqa: E402
from tests.bench.lamp import main  # noqa: E402
from tests.bench.lamp_answers import Answers  # noqa: E402
from tests.bench.lamp_data import Item, User, read_users  # noqa: E402
from tests.bench.lamp_result import Result, Row  # noqa: E402
from tests.bench.lamp_tasks import TASKS  # noqa: E402
from tests.bench.models import Models  # noqa: E402

SAMPLE = Path(__file__).with_name("lamp_sample")
METHODS = ["plain", *(way.name for way in learning.WAYS)]
LAMP_2_QUESTIONS, LAMP_2_OUTPUTS = "LaMP_2/dev_questions.json", "LaMP_2/dev_outputs.json"


@pytest.fixture(scope="module")
def models(tiny: Path) -> Iterator[Models]:
    found = Models(tiny, tiny)
    yield found
    found.close()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the sample, to be spoilt."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "lamp"))


def changed(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("number", TASKS)
def test_the_sample_is_read(number: int) -> None:
    task = TASKS[number]
    users = read_users(SAMPLE, task)
    assert len(users) == 6
    for user in users:
        assert len(user.profile) == 8
        assert user.request.startswith(task.request)
        assert user.request not in [task.query(item.text) for item in user.profile]
        assert {user.gold, *(item.answer for item in user.profile)} <= set(task.labels) or not task.labels
    assert read_users(SAMPLE, task, 2) == users[:2]


def test_a_tweet_is_both_what_is_asked_about_and_the_answer() -> None:
    item = read_users(SAMPLE, TASKS[7])[0].profile[0]
    assert item.text == item.answer


SPOILT: list[tuple[str, Callable[[Any], Any], str]] = [
    (LAMP_2_QUESTIONS, lambda found: found.clear(), "holds no question"),
    (LAMP_2_QUESTIONS, lambda found: found[2].pop("input"), r"'input' of question 3 \(id 220\) is missing"),
    (LAMP_2_QUESTIONS, lambda found: found[1].pop("profile"), r"'profile' of question 2"),
    (LAMP_2_QUESTIONS, lambda found: found[0].update(id="x"), r"question 1 \(id x\) has no output"),
    (LAMP_2_QUESTIONS, lambda found: found[0]["profile"][3].pop("tag"), r"'tag' of profile item 4 of question 1"),
    (LAMP_2_QUESTIONS, lambda found: found[0]["profile"].append("x"), "profile item 9 of question 1.* no object"),
    (LAMP_2_OUTPUTS, lambda found: found.pop("golds"), "'golds' is missing"),
    (LAMP_2_OUTPUTS, lambda found: found.pop("task"), "'task' is missing"),
    (LAMP_2_OUTPUTS, lambda found: found["golds"][1].update(output="sport"), "'sport' in entry 2"),
    (LAMP_2_OUTPUTS, lambda found: found["golds"][0].update(id=None), "'id' of entry 1 of golds"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "message"), SPOILT, ids=[each[2] for each in SPOILT])
def test_a_malformed_file_is_named_with_the_place(
    copy: Path, name: str, change: Callable[[Any], Any], message: str
) -> None:
    changed(copy / name, change)
    with pytest.raises(KnownError, match=message) as raised:
        read_users(copy, TASKS[2])
    assert str(copy / name) in str(raised.value)


def test_what_is_no_json_is_named(copy: Path) -> None:
    (copy / LAMP_2_QUESTIONS).write_text("<html>Not found</html>", encoding="utf-8")
    with pytest.raises(KnownError, match=r"dev_questions\.json is not JSON"):
        read_users(copy, TASKS[2])
    (copy / LAMP_2_QUESTIONS).write_text("{}", encoding="utf-8")
    with pytest.raises(KnownError, match=r"dev_questions\.json holds no list"):
        read_users(copy, TASKS[2])


def test_the_older_task_about_news_is_recognised(copy: Path) -> None:
    news = {"id": "1", "title": "t", "text": "t", "category": "travel"}
    changed(copy / LAMP_2_QUESTIONS, lambda found: found[0].update(profile=[news]))
    with pytest.raises(KnownError, match="LaMP_2/new"):
        read_users(copy, TASKS[2])


def test_files_are_found_by_task_and_dev_is_preferred(copy: Path) -> None:
    for kind in ("questions", "outputs"):
        shutil.copy(copy / f"LaMP_3/dev_{kind}.json", copy / f"LaMP_3/train_{kind}.json")
    changed(copy / "LaMP_3/train_questions.json", lambda found: found.pop())
    assert len(read_users(copy, TASKS[3])) == 6
    (copy / "LaMP_3/dev_outputs.json").unlink()
    changed(copy / "LaMP_3/train_outputs.json", lambda found: found.update(task="LaMP_3_time"))
    assert len(read_users(copy, TASKS[3])) == 5, "questions without outputs are those of the test split"
    shutil.copytree(copy / "LaMP_7", copy / "again")
    with pytest.raises(KnownError, match=r"several sets of LaMP_7: LaMP_7/dev_questions.json, again/dev"):
        read_users(copy, TASKS[7])
    with pytest.raises(KnownError, match=r"no file ending in _questions\.json"):
        read_users(copy / "LaMP_7", TASKS[2])


def test_the_habit_is_the_most_frequent_answer() -> None:
    assert [user.habit for user in read_users(SAMPLE, TASKS[3])] == ["3", "5", "1", "4", "2", "5"]
    assert User("1", "…", "5", ()).habit == ""


def test_numbers_pass_for_text_and_empty_items_are_left_out(copy: Path) -> None:
    def change(found: Any) -> None:
        found[0]["id"] = int(found[0]["id"])
        found[0]["profile"][0]["score"] = 3.0
        found[0]["profile"][1]["text"] = " "
        found[0]["profile"][2]["text"] = "long " * 1000

    changed(copy / "LaMP_3/dev_questions.json", change)
    user = read_users(copy, TASKS[3])[0]
    assert (user.id, user.profile[0].answer, len(user.profile)) == ("300", "3", 7)
    assert len(user.profile[1].text) == 1200


def test_accuracy_and_f1_by_hand() -> None:
    golds, answers = ["a", "a", "b", "c"], ["a", "b", "b", "b"]
    assert metrics.accuracy(golds, answers) == 0.5
    # a: 1 right of 2 + 1; b: 1 right of 1 + 3; c: none right; d: never there
    assert metrics.macro_f1(golds, answers, ["a", "b", "c", "d"]) == pytest.approx((2 / 3 + 2 / 4) / 4)


def test_errors_by_hand() -> None:
    golds, answers = ["1", "5", "3"], ["2", "1", "3"]
    assert metrics.mean_absolute_error(golds, answers) == pytest.approx(5 / 3)
    assert metrics.root_mean_squared_error(golds, answers) == pytest.approx(math.sqrt(17 / 3))


def test_rouge_by_hand() -> None:
    # 3 words are in both, of 4 and of 5; in the same order only "the" and "sat"
    gold, answer = ["The cat sat today"], ["sat the dog today, the"]
    assert metrics.rouge_1(gold, answer) == pytest.approx(2 * 3 / (4 + 5))
    assert metrics.rouge_l(gold, answer) == pytest.approx(2 * 2 / (4 + 5))
    assert metrics.rouge_1(["runs"], ["running"]) == 0.0, "without stemming"
    assert metrics.rouge_l(["a b", "c"], ["a b", ""]) == pytest.approx(0.5)


def test_a_change_is_as_sure_as_the_users_agree_on_it() -> None:
    golds, before, after = ["5"] * 20, ["1"] * 20, ["4"] * 20
    assert metrics.change_interval(metrics.mean_absolute_error, golds, before, after) == (-3.0, -3.0)
    low, high = metrics.change_interval(metrics.accuracy, golds, before, ["5"] * 10 + ["1"] * 10)
    assert 0 < low < 0.5 < high < 1


def test_every_fourth_item_is_for_validation_and_a_single_one_is_for_both() -> None:
    pairs = [learning.Pair(str(place), "a", "b") for place in range(learning.ITEMS)]
    train, validation = learning.shares(pairs)
    assert (len(train), len(validation)) == (12, 4)
    assert not set(train) & set(validation)
    assert [len(share) for share in learning.shares(pairs[:2])] == [1, 1]
    assert learning.shares(pairs[:1]) == (pairs[:1], pairs[:1])


class Scripted(Answers):
    """Writes what ``replies`` says to a text that is asked about."""

    def __init__(self, replies: dict[str, str]) -> None:
        self.replies = replies

    def written(self, requests: Sequence[str], edit: Edit | None) -> list[str]:
        assert edit is None
        return [self.replies[request.removeprefix(TASKS[7].request).strip()] for request in requests]


def test_a_tweet_is_asked_for_by_its_paraphrase() -> None:
    late, moon = "ugh my train is late", "hello moon"
    user = User("1", "…", "…", (Item(late, late), Item(moon, moon)))
    answers = Scripted(
        {late: "The train is delayed.", moon: "I cannot.", "The train is delayed.": "A late train."}
    )
    expected = learning.Pair(TASKS[7].query("The train is delayed."), late, "A late train.")
    assert learning.fabricated(answers, TASKS[7], user) == [expected], "no paraphrase, no pair"


def test_the_most_representative_items_are_asked_about(models: Models, tmp_path: Path) -> None:
    items = tuple(Item(f"the house and water {place}", "3") for place in range(20))
    pairs = learning.fabricated(Answers(models, TASKS[3], tmp_path), TASKS[3], User("1", "…", "3", items))
    assert len(pairs) == learning.ITEMS
    assert {pair.own for pair in pairs} == {"3"}
    assert all(pair.query.startswith(TASKS[3].request) for pair in pairs)


def test_a_text_is_written_under_the_edit(models: Models, tmp_path: Path) -> None:
    task = TASKS[7]
    answers = Answers(models, task, tmp_path)
    requests = [task.query(text) for text in ("the house", "my water", "dear friend", "rain", "a word")]
    pairs = [learning.Pair(request, "dear friend", "by the rain") for request in requests]
    lesson = learning.lesson_of(answers, models.full, task, pairs, seed=0)
    assert lesson is not None
    assert lesson.keeps_to_request
    edit = learning.projection(models.full, lesson, 0)
    plain = [answers.answer(request, None) for request in requests]
    assert [answers.answer(request, edit) for request in requests] != plain
    nothing = Edit.nothing(models.full.layer_count, models.full.hidden_size)
    assert [answers.answer(request, nothing) for request in requests] == plain


def test_the_answer_is_the_likeliest_label(models: Models, tmp_path: Path) -> None:
    answers = Answers(models, TASKS[3], tmp_path)
    request = TASKS[3].query("my dear house")
    samples = {label: answers.sample(request, label, ends=True) for label in TASKS[3].labels}
    assert samples["1"].answer[-1] == models.engine.weights.end
    losses = {label: mean_nll(models.full, [each], None) for label, each in samples.items()}
    assert answers.choose(request, None) == min(losses, key=lambda label: losses[label])


def test_a_user_who_always_answers_alike_is_learnt(models: Models, tmp_path: Path) -> None:
    task = TASKS[3]
    answers = Answers(models, task, tmp_path)
    requests = [
        task.query(text) for text in ("the house", "my water", "dear friend", "rain", "a word", "paper")
    ]
    plain = answers.choose(requests[-1], None)
    wanted = "4" if plain != "4" else "2"
    pairs = [learning.Pair(request, wanted, "by the rain") for request in requests[:5]]
    lesson = learning.lesson_of(answers, models.full, task, pairs, seed=0)
    assert lesson is not None
    assert not lesson.keeps_to_request
    edit = learning.refined(models.full, lesson, 0)
    assert edit is not None
    before, after = (mean_nll(models.full, lesson.validation, each) for each in (None, edit))
    assert after < before
    strong = learning.projection(models.full, lesson, 0)
    assert strong is not None
    assert strong.rank == 2
    assert not strong.vectors.any()


def test_where_the_model_answers_as_the_user_does_there_is_nothing_to_learn(
    models: Models, tmp_path: Path
) -> None:
    answers = Answers(models, TASKS[3], tmp_path)
    pairs = [learning.Pair("q", "5", "5"), learning.Pair("r", "4", "")]
    assert learning.lesson_of(answers, models.full, TASKS[3], pairs, 0) is None
    assert learning.lesson_of(answers, models.full, TASKS[3], [], 0) is None


def test_the_table_holds_the_change_from_the_plain_model() -> None:
    users = [User(str(place), "…", gold, ()) for place, gold in enumerate(("1", "5"))]
    rows = {"plain": Row("plain model", ["1", "1"]), "x": Row("X", ["1", "4"], seconds=3.0, unlearnt=1)}
    result = Result(TASKS[3], users, rows, pair_seconds=1.0)
    assert result.numbers("x")["MAE change"] == pytest.approx(-1.5)
    lines = result.table().splitlines()
    assert [cell.strip() for cell in lines[3].split("|")[2:4]] == ["0.500", "−1.500 [−3.000, +0.000]"]
    assert [cell.strip() for cell in lines[2].split("|")[2:4]] == ["2.000", "–"]


@pytest.mark.parametrize("number", TASKS)
def test_a_whole_run(number: int, tiny: Path) -> None:
    arguments = [str(SAMPLE), "--task", str(number), "--model", str(tiny), "--limit", "2", "--json"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["task"], found["users"]) == (f"LaMP_{number}", 2)
    assert list(found["methods"]) == METHODS + (["habit"] if TASKS[number].labels else [])
    names = set(TASKS[number].metrics)
    for method in found["methods"].values():
        assert names <= set(method)
        assert [each["id"] for each in method["golds"]] == [f"{number}00", f"{number}10"]
    assert "user 2 of 2" in result.stderr


def test_what_cannot_be_is_said_in_a_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path), "--task", "2"])
    assert result.exit_code == 2
    assert "no file ending in _questions.json" in result.stderr
    result = CliRunner().invoke(main, [str(SAMPLE), "--task", "2", "--model", "none-such"])
    assert result.exit_code == 2
    assert "no model called" in result.stderr
