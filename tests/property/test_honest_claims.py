"""Law: an honest claim is never contradicted, whatever name of the type it uses."""

from hypothesis import given
from hypothesis import strategies as st

from staging._claims.aliases import ALIASES, canonical
from staging._claims.contradictions import contradicts, kind_shown, refuted_claim
from staging._claims.filenames import UniqueNames, with_extension
from staging._claims.kinds import extension_for, media_type_of_name
from staging._claims.media import OBSERVABLE

observed = st.sampled_from(sorted(OBSERVABLE))
parameters = st.sampled_from(["", ";charset=utf-8", "; q=1", " ; codecs=opus", ";", '; name="a.exe"'])
cases = st.sampled_from([str, str.lower, str.upper, str.title])
silent = st.sampled_from([None, "", "application/octet-stream", "binary/octet-stream", "application/x-download", "*/*"])

NAMES = {
    media_type: [media_type, *(alias for alias, name in ALIASES.items() if name == canonical(media_type))]
    for media_type in OBSERVABLE
}


@given(observed, st.data(), cases, parameters)
def test_every_name_of_a_type_is_an_honest_claim(media_type, data, case, parameter):
    claim = case(data.draw(st.sampled_from(NAMES[media_type]))) + parameter
    assert not contradicts(claim, media_type)
    assert refuted_claim(claim, media_type) is None


@given(observed, silent, st.sampled_from(["a", "a.b", "Ä.tar", "report (1)"]), st.booleans())
def test_the_usual_extension_of_a_type_is_an_honest_claim(media_type, claim, stem, upper):
    extension = extension_for(media_type)
    name = stem + (extension.upper() if upper else extension)
    assert not (extension and contradicts(claim, media_type, name))


@given(observed)
def test_what_an_extension_stands_for_has_that_extension(media_type):
    """Else a file that was named by its bytes would contradict its name."""
    extension = extension_for(media_type)
    stands_for = media_type_of_name(f"a{extension}")
    assert not extension or (stands_for is not None and not contradicts(stands_for, media_type))


@given(observed, silent, st.text(max_size=12))
def test_a_claim_that_says_nothing_is_as_good_as_none(media_type, claim, name):
    assert contradicts(claim, media_type, name) == contradicts(None, media_type, name)
    assert kind_shown(claim, media_type, name) == kind_shown(None, media_type, name)


@given(observed, st.text("abc.日 -", min_size=1, max_size=160).map(lambda name: name.strip(" .-") or "a"))
def test_a_name_that_gets_an_extension_is_honest_about_it(media_type, name):
    named = with_extension(name, media_type)
    assert named == name or (named.endswith(extension_for(media_type)) and not contradicts(None, media_type, named))
    assert with_extension(named, media_type) == named
    assert UniqueNames().claim(named) == named
