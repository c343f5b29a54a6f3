"""Memory and descriptors stay where they are, however many requests come. (`bench.py --flat 100000` takes longer.)"""

import pytest

from support.load import flat

pytestmark = [pytest.mark.native, pytest.mark.slow, pytest.mark.timeout(300)]

REQUESTS = 5000
# Buffers that still find their size, and one more connection that is kept.
MOST_KIB = 700
MOST_DESCRIPTORS = 2


def test_memory_and_descriptors_stay_flat(native):
    result = flat(native, REQUESTS)
    print(result.table())
    assert result.sent >= REQUESTS
    assert result.bad == 0
    assert result.gone == []
    assert {n: g for n, g in result.growth("descriptors").items() if g > MOST_DESCRIPTORS} == {}
    assert {n: g for n, g in result.growth("proportional_kib").items() if g > MOST_KIB} == {}
