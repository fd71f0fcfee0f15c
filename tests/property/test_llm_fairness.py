"""The law of the shared budget: max-min fair, nothing wasted, and never more than there is."""

from hypothesis import given
from hypothesis import strategies as st

from staging.llm._budget import fair_shares
from staging.llm.extract import Excerpt, _Collector

budgets = st.integers(0, 10_000)
demands = st.lists(st.integers(0, 5_000), max_size=30)


@given(budgets, demands)
def test_shares_are_within_demand_and_budget(budget, wanted):
    shares = fair_shares(budget, wanted)
    assert len(shares) == len(wanted)
    assert all(0 <= share <= demand for share, demand in zip(shares, wanted, strict=True))
    assert sum(shares) == min(budget, sum(wanted)), "nothing is left over while a demand is unmet"


@given(budgets, demands)
def test_who_gets_less_than_asked_gets_no_less_than_anyone_else(budget, wanted):
    shares = fair_shares(budget, wanted)
    for share, demand in zip(shares, wanted, strict=True):
        if share < demand:
            assert share >= max(shares) - 1


@given(budgets, demands, st.integers(0, 5_000))
def test_one_more_file_gives_nobody_more(budget, wanted, further):
    """So excerpts can be cut while files are still being read."""
    before = fair_shares(budget, wanted)
    after = fair_shares(budget, [*wanted, further])[:-1]
    assert all(later <= earlier + 1 for earlier, later in zip(before, after, strict=True))


@given(budgets, demands, st.randoms(use_true_random=False))
def test_the_order_of_files_gives_nobody_more_than_one_more(budget, wanted, random):
    order = list(range(len(wanted)))
    random.shuffle(order)
    shares = fair_shares(budget, wanted)
    shuffled = fair_shares(budget, [wanted[index] for index in order])
    assert all(abs(shares[index] - share) <= 1 for index, share in zip(order, shuffled, strict=True))


@given(st.lists(st.text("ab\n", max_size=40), max_size=12), st.lists(st.integers(0, 120), min_size=1, max_size=4))
def test_an_excerpt_is_the_beginning_and_the_end_however_often_it_is_cut(pieces, shares):
    """Cutting as the shares shrink gives what cutting once to the last share gives."""
    whole = "".join(pieces)
    collector = _Collector(max(shares))
    for piece in pieces:
        collector.take(piece)
    excerpt = collector.excerpt("")
    for share in sorted(shares, reverse=True):
        excerpt = excerpt.cut(share)
        assert excerpt.kept == min(len(whole), share)
        assert excerpt.omitted == len(whole) - excerpt.kept
        assert whole.startswith(excerpt.head)
        assert whole.endswith(excerpt.tail)
        assert excerpt == Excerpt(whole, total=len(whole)).cut(share) or not excerpt.omitted
