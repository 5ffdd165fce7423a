"""Query-level baselines: what each learns of an easy world, and when nothing can be learned."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import rankdata

from trim.checksums import SUMS
from trim.config.routers import EncoderTuning, QueryRouters
from trim.errors import ConfigError, InputError
from trim.files import write_json
from trim.names import names, routers_of
from trim.routers.query_level.automix import AutoMix, fit_automix
from trim.routers.query_level.best_route import label_best, largest_set
from trim.routers.query_level.described import fit_tokens
from trim.routers.query_level.disk import Policy, Space, load_policies, save_policies
from trim.routers.query_level.evidence import Evidence, choose, choose_thresholds, every_replicate, summarise
from trim.routers.query_level.features import fit_features
from trim.routers.query_level.fit import fit_policies
from trim.routers.query_level.frugal import fit_frugal
from trim.routers.query_level.heads import fit_heads
from trim.routers.query_level.hybrid_llm import label_matches
from trim.routers.query_level.mf import fit_mf
from trim.routers.query_level.per_token import fit_per_token
from trim.routers.query_level.registry import QueryTraining, baseline
from trim.routers.query_level.smoothie import fit_smoothie
from trim.routers.query_level.sw import fit_sw

WEAK_SOLUTIONS, REPLICATES = 3, 2


def world(problems: int, seed: int) -> Evidence:
    """Half of the problems are hard: there the weak model is mostly wrong, and embedding, text and PRM show it."""
    rng = np.random.default_rng(seed)
    hard = np.arange(problems) % 2 == 0
    embeddings = rng.normal(size=(problems, 6))
    embeddings[:, 0] += np.where(hard, 3, -3)
    weak = rng.random((problems, WEAK_SOLUTIONS)) < np.where(hard, 0.1, 0.9)[:, None]
    steps = np.where(weak[:, :, None], 0.95, 0.4) + 0.05 * rng.random((problems, WEAK_SOLUTIONS, 5))
    scores = np.array([[summarise(solution) for solution in solutions] for solutions in steps])
    agreement = np.where(weak[:, :REPLICATES], 1.0, 0.25)
    strong = rng.random((problems, REPLICATES)) < 0.95
    texts = [f"{i % 50} {'a*9 b*8' if h else 'a+1 b+2'}?" for i, h in enumerate(hard)]
    lengths = rng.integers(40, 80, size=(problems, WEAK_SOLUTIONS)).astype(float)
    return Evidence(
        texts, embeddings, weak, strong, scores, agreement, lengths, lengths // 10, lengths[:, :REPLICATES] + 5
    )


TRAIN, DEV, TEST = (world(size, seed) for seed, size in enumerate((240, 120, 200)))


def generations(evidence: Evidence, seed: int = 5) -> np.ndarray:
    """Embed solutions so that they lie as far from the truth as they are wrong, each in a direction of its own."""
    rng = np.random.default_rng(seed)
    problems = len(evidence.texts)
    wrong = [~evidence.weak_correct[:, :REPLICATES], ~evidence.strong_correct, rng.random((problems, REPLICATES)) < 0.5]
    directions = rng.normal(size=(3, problems, REPLICATES, 64)) / 8
    return directions * (0.1 + np.array(wrong)[..., None])


def separation(doubts: np.ndarray, evidence: Evidence) -> float:
    """How likely the doubt about a wrong weak answer is higher than that about a right one."""
    wrong = ~evidence.weak_correct[:, : evidence.replicates].ravel()
    ranks = rankdata(doubts[:, :, 0].ravel())
    return (ranks[wrong].sum() - wrong.sum() * (wrong.sum() + 1) / 2) / (wrong.sum() * (~wrong).sum())


def training(settings: QueryRouters, encoder: Path) -> QueryTraining:
    from trim.models.encoder import Encoder

    return QueryTraining(TRAIN, DEV, lambda: generations(TRAIN), lambda: Encoder(encoder), settings, "seed")


@pytest.fixture(scope="module")
def policies(model_folders: dict[str, Path]) -> list[Policy]:
    settings = QueryRouters(samples=2, tuning=EncoderTuning(epochs=3))
    return fit_policies(training(settings, model_folders["weak"]), 8)


def test_every_baseline_learns_an_easy_world(policies: list[Policy]) -> None:
    named = [key for key, name in names().items() if name.family == "query"]
    assert [(policy.router, policy.variant) for policy in policies] == named
    for policy in policies:
        doubts = policy.fitted.doubts(TEST)
        assert doubts.shape == (200, REPLICATES, 3 if policy.router == "best-route" else 1)
        assert separation(doubts, TEST) > 0.75, (policy.router, policy.variant)
        assert 1 <= len(policy.thresholds) <= 8


def test_policies_come_back_from_disk(policies: list[Policy], tmp_path: Path) -> None:
    space = Space.of(TRAIN.embeddings)
    save_policies(tmp_path, policies, space, {"seed": 3})
    loaded, same = load_policies(tmp_path)
    np.testing.assert_array_equal(same.standardise(TEST.embeddings), space.standardise(TEST.embeddings))
    for before, after in zip(policies, loaded, strict=True):
        assert (before.router, before.variant, tuple(before.thresholds)) == (
            after.router,
            after.variant,
            after.thresholds,
        )
        np.testing.assert_array_equal(before.fitted.doubts(TEST), after.fitted.doubts(TEST))
    suffixes = {path.suffix for path in tmp_path.rglob("*") if path.is_file() and path.name != SUMS}
    assert suffixes <= {".json", ".safetensors", ".jinja"}
    write_json({}, tmp_path / "policies.json")
    with pytest.raises(InputError, match="not a folder of query-level routers"):
        load_policies(tmp_path)
    with pytest.raises(InputError, match="policies.json: .*No such file.*delete .*nowhere and run again"):
        load_policies(tmp_path / "nowhere")


def test_training_again_gives_the_same_policies(model_folders: dict[str, Path], policies: list[Policy]) -> None:
    settings = QueryRouters(tuning=EncoderTuning(epochs=3), baselines=("mf", "bert"))
    again = fit_policies(training(settings, model_folders["weak"]), 8)
    first = {(policy.router, policy.variant): policy.fitted for policy in policies}
    assert {policy.variant for policy in again} == {"default", "per-token"}
    for policy in again:
        np.testing.assert_array_equal(policy.fitted.doubts(TEST), first[policy.router, policy.variant].doubts(TEST))


# --- what knows the strong model's tokens -----------------------------------------------


def dear(evidence: Evidence) -> Evidence:
    """The same problems, of which those with a longer text cost the strong model many more tokens."""
    texts = [text.replace("?", "+1" * 9 + "?") if i % 3 == 0 else text for i, text in enumerate(evidence.texts)]
    tokens = np.where(np.arange(len(texts)) % 3 == 0, 300.0, 30.0)[:, None]
    return replace(evidence, texts=texts, strong_tokens=np.repeat(tokens, evidence.replicates, axis=1))


@pytest.mark.parametrize("reads_answer", [False, True])
def test_tokens_are_foreseen_from_the_problem(reads_answer: bool) -> None:
    foreseen = fit_tokens(dear(TRAIN), reads_answer).of(dear(TEST))
    np.testing.assert_allclose(foreseen, dear(TEST).strong_tokens, rtol=0.1)


def test_per_token_doubts_are_chances_a_token_in_the_same_order_at_equal_cost() -> None:
    train, dev, test = map(dear, (TRAIN, DEV, TEST))
    base = fit_frugal(train)
    doubts, weighed = base.doubts(test), fit_per_token(base, train, dev, True).doubts(test)
    costly = (np.arange(len(test.texts)) % 3 == 0)[:, None, None]
    assert (
        weighed[np.broadcast_to(costly, weighed.shape)].mean()
        < 0.2 * weighed[~np.broadcast_to(costly, weighed.shape)].mean()
    )
    chances = weighed * fit_tokens(train, True).of(test)[:, :, None]
    assert 0 <= chances.min() and chances.max() <= 1
    np.testing.assert_array_equal(rankdata(chances.round(9)), rankdata(doubts.round(9)))
    mended = ~test.weak_correct[:, :REPLICATES] * test.strong_correct.mean(axis=1, keepdims=True)
    assert chances.mean() == pytest.approx(mended.mean(), abs=0.05)


def test_a_doubt_that_says_nothing_leaves_the_cheapest_first() -> None:
    class Backwards:
        def doubts(self, evidence: Evidence) -> np.ndarray:
            return -fit_frugal(TRAIN).doubts(evidence)

    train, dev, test = map(dear, (TRAIN, DEV, TEST))
    weighed = fit_per_token(Backwards(), train, dev, False)
    assert weighed.calibration[2] == 0  # never against its order: without a slope
    order = np.argsort(-weighed.doubts(test)[:, 0, 0], kind="stable")
    assert (test.strong_tokens[order[:100], 0] == 30).all()


def test_no_more_than_five_weak_solutions_compete() -> None:
    assert [largest_set(samples) for samples in (1, 4, 8)] == [2, 5, 5]


# --- an encoder that stays frozen -------------------------------------------------------

ENCODERS = ("bert", "hybrid-llm", "best-route")


def test_on_a_frozen_encoder_heads_learn_an_easy_world_without_loading_it(tmp_path: Path) -> None:
    def refuse() -> Any:
        raise AssertionError("the encoder was loaded")

    settings = QueryRouters(samples=2, tuning=None, baselines=ENCODERS)
    data = QueryTraining(TRAIN, DEV, lambda: generations(TRAIN), refuse, settings, "seed")
    fitted = fit_policies(data, 8)
    assert {policy.router for policy in fitted} == set(ENCODERS)
    save_policies(tmp_path, fitted, Space.of(TRAIN.embeddings), {})
    for policy, loaded in zip(fitted, load_policies(tmp_path)[0], strict=True):
        doubts = policy.fitted.doubts(TEST)
        assert doubts.shape == (200, REPLICATES, 3 if policy.router == "best-route" else 1)
        assert separation(doubts, TEST) > 0.85, (policy.router, policy.variant)
        assert len(policy.thresholds) > 1
        np.testing.assert_array_equal(loaded.fitted.doubts(TEST), doubts)
    assert not list(tmp_path.rglob("model.safetensors"))


def test_heads_find_known_odds_and_learn_nothing_of_noise() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6000, 3))
    odds = 1 / (1 + np.exp(-(0.5 + vectors @ [1.0, -2.0, 0.0])))
    labels = np.stack([np.stack([odds, 1 - odds], axis=1), np.full((6000, 2), (0.7, 0.3))], axis=1)  # two heads
    heads = fit_heads((vectors[:4000], labels[:4000]), (vectors[4000:], labels[4000:]))
    assert heads.weights.shape == (4, 2, 2)
    np.testing.assert_allclose(heads.predict(vectors)[:, 0, 0], odds, atol=0.02)
    np.testing.assert_allclose(heads.predict(vectors)[:, 1], np.full((6000, 2), (0.7, 0.3)), atol=1e-3)
    noise = np.eye(2)[rng.integers(2, size=120)][:, None]
    wide = rng.normal(size=(120, 300))  # more numbers than problems: by heart, all of it could be learned
    heads = fit_heads((wide[:60], noise[:60]), (wide[60:], noise[60:]))
    assert np.abs(heads.predict(wide[60:])[:, 0, 0] - 0.5).max() < 0.3


def test_every_head_has_the_penalty_that_dev_likes_best() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(200, 40))
    known = np.eye(2)[(vectors[:, 0] > 0).astype(int)]
    noise = np.eye(2)[rng.integers(2, size=200)]
    both = np.stack([known, noise], axis=1)
    heads = fit_heads((vectors[:100], both[:100]), (vectors[100:], both[100:]))
    alone = fit_heads((vectors[:100], both[:100, :1]), (vectors[100:], both[100:, :1]))
    np.testing.assert_allclose(heads.weights[:, :1], alone.weights, atol=1e-3)
    strength = np.abs(heads.weights[:-1]).sum(axis=(0, 2))
    assert strength[0] > 5 * strength[1]


def test_every_name_of_a_baseline_is_fitted(policies: list[Policy]) -> None:
    fitted = {(policy.router, policy.variant) for policy in policies}
    assert fitted == {key for key, name in names().items() if name.family == "query"}
    assert {policy.router: type(policy.fitted) for policy in policies if policy.variant == "default"} == {
        router: baseline(router).kind for router in routers_of("query")
    }


def test_a_baseline_that_nobody_wrote_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="^there is no query-level baseline 'gpt'; there are bert, mf, .*best-route.*$"
    ):
        baseline("gpt")
    with pytest.raises(ConfigError, match="no query-level baseline 'gpt'"):
        fit_policies(training(QueryRouters().model_copy(update={"baselines": ("gpt",)}), tmp_path), 8)


# --- each baseline's rule ---------------------------------------------------------------


def test_similarity_weighted_ranking_is_the_weighted_bradley_terry_model() -> None:
    router = fit_sw(TRAIN)
    one = replace(TEST, embeddings=TEST.embeddings[:1])
    cosines = TRAIN.embeddings @ one.embeddings[0]
    cosines /= np.linalg.norm(TRAIN.embeddings, axis=1) * np.linalg.norm(one.embeddings[0])
    weights = 10 * 10 ** (cosines / cosines.max())
    strong, tie, weak = TRAIN.outcomes().T

    def loss(rating: np.ndarray) -> float:
        return float(
            (
                weights * ((strong + tie / 2) * np.logaddexp(0, -rating) + (weak + tie / 2) * np.logaddexp(0, rating))
            ).sum()
        )

    rating = minimize(loss, np.zeros(1), tol=1e-12).x[0]
    assert router.doubts(one)[0, 0, 0] == pytest.approx(1 / (1 + np.exp(-rating)), abs=1e-5)


def test_smoothie_finds_the_errors_of_independent_generators() -> None:
    rng = np.random.default_rng(0)
    noise = np.array([2.0, 0.5, 1.0])[:, None, None, None] * rng.normal(size=(3, 4000, 1, 8))
    train = replace(TRAIN, embeddings=np.zeros((4000, 1)))
    router = fit_smoothie(train, rng.normal(size=(1, 4000, 1, 8)) + noise, 4000)
    doubts = router.doubts(replace(TEST, embeddings=np.zeros((1, 1))))
    assert doubts[0, 0, 0] == pytest.approx(np.log(2.0**2 / 0.5**2), abs=0.1)


def test_smoothie_takes_the_third_solution_from_another_replicate() -> None:
    solutions = np.zeros((3, 1, 2, 1))
    solutions[0, 0, 0] = solutions[2, 0, 0] = 1.0  # weak and third share an error in the first replicate
    router = fit_smoothie(replace(TRAIN, embeddings=np.zeros((1, 1))), solutions, 1)
    np.testing.assert_array_equal(router.distances, [[0.5, 1.0, 0.5]])


@pytest.mark.parametrize("tradeoff", [5.0, 60.0, 150.0, 400.0, 4000.0])
def test_automix_acts_as_its_pomdp_does(tradeoff: float) -> None:
    rng = np.random.default_rng(1)
    needy, good, hopeless = rng.dirichlet(np.ones(3), size=8).T
    keep = -tradeoff * needy - (tradeoff + 1) * hopeless
    route = -100 * needy - 100 * good - (tradeoff + 100) * hopeless
    seen = replace(TEST, agreement=(np.arange(8)[:, None] + 0.5) / 8)
    doubts = AutoMix("agreement", needy, hopeless).doubts(seen)
    np.testing.assert_array_equal(choose(doubts, 1 / tradeoff)[:, 0] == 1, route > keep)


def test_automix_counts_classes_by_bin() -> None:
    weak = np.array([[True], [False], [False], [False], [True]])
    strong = np.array([[True], [True], [True], [False], [False]])  # the last pair has no class
    evidence = replace(TRAIN, weak_correct=weak, strong_correct=strong, agreement=np.array([[1.0], [0], [0], [0], [0]]))
    router = fit_automix(evidence, "agreement", 2)
    np.testing.assert_allclose(router.needy, [(2 + 0.5) / 4, (0 + 0.5) / 2])
    np.testing.assert_allclose(router.hopeless, [(1 + 0.25) / 4, (0 + 0.25) / 2])


def test_labels_of_the_fine_tuned() -> None:
    weak = np.array([[True, False, False], [False, False, False]])
    strong = np.array([[True, True], [False, True]])
    scores = np.zeros((2, 3, 4))
    scores[0, 0] = 1  # the PRM knows which one is right
    evidence = replace(TRAIN, weak_correct=weak, strong_correct=strong, scores=scores)
    np.testing.assert_allclose(evidence.outcomes(), [[2 / 3, 1 / 3, 0], [1 / 2, 1 / 2, 0]])
    np.testing.assert_allclose(label_matches(evidence)[:, :, 0], [[1 / 3, 1], [1 / 2, 1]])
    many = replace(
        evidence,
        **{
            name: np.repeat(getattr(evidence, name), 500, axis=0)
            for name in ("weak_correct", "strong_correct", "scores")
        },
    )
    labels = label_best(many, 3, "seed")
    np.testing.assert_allclose(labels.sum(axis=2), 1)
    # Best of n drawn with replacement is right unless the right one was never drawn.
    np.testing.assert_allclose(labels[:500, :, 0].mean(axis=0), [1 - (2 / 3) ** n for n in (1, 2, 3)], atol=0.02)
    np.testing.assert_allclose(labels[500:, :, 0], 0.5)


def test_the_cheapest_trusted_option_is_taken() -> None:
    doubts = np.array([[[0.1, 0.0, 0.0]], [[0.5, 0.2, 0.1]], [[0.9, 0.8, 0.7]], [[0.5, 0.6, 0.1]]])
    assert choose(doubts, 0.5)[:, 0].tolist() == [0, 1, 3, 2]  # a doubt at the threshold is no trust
    shares = [
        (choose(every_replicate(TEST.embeddings[:, 0], 1), t) == 1).mean()
        for t in choose_thresholds(every_replicate(TEST.embeddings[:, 0], 1), 4)
    ]
    assert shares == pytest.approx([0.8, 0.6, 0.4, 0.2], abs=0.01)
    assert choose_thresholds(np.full((30, 1, 1), 0.5), 6) == [0.5]


# --- nothing to learn -------------------------------------------------------------------


@pytest.mark.parametrize("weak", [False, True])
@pytest.mark.parametrize("strong", [False, True])
@pytest.mark.parametrize("problems", [1, 5])
def test_without_contrast_there_is_no_doubt_but_no_failure(weak: bool, strong: bool, problems: int) -> None:
    empty = Evidence(
        ["5 a+1?"] * problems,
        np.zeros((problems, 6)),
        np.full((problems, 1), weak),
        np.full((problems, 1), strong),
        np.ones((problems, 1, 4)),
        np.zeros((problems, 1)),
        np.ones((problems, 1)),
        np.ones((problems, 1)),
        np.ones((problems, 1)),
    )
    routers: list[Any] = [
        fit_mf(empty, empty, "seed"),
        fit_sw(empty),
        fit_smoothie(empty, np.zeros((3, problems, 1, 4)), 20),
        fit_automix(empty, "agreement", 8),
        fit_automix(empty, "product", 8),
        fit_frugal(empty),
        fit_features(empty, empty),
    ]
    routers += [fit_per_token(router, empty, empty, reads) for router in routers for reads in (False, True)]
    for router in routers:
        doubts = router.doubts(empty)
        assert doubts.shape == (problems, 1, 1)
        assert np.isfinite(doubts).all()
        assert len(choose_thresholds(doubts, 8)) == 1
