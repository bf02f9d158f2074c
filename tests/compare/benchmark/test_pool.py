from contextlib import closing

import pytest

from compare.benchmark.pool import Pool


@pytest.mark.slow
def test_a_process_that_ends_is_named():
    with closing(Pool(["manual"], 1)) as pool:
        pool.processes["CONTENDERS", "manual"].kill()
        with pytest.raises(RuntimeError, match="the process of manual ended"):
            pool.ask("CONTENDERS", "manual", {"do": "time", "runs": 1})
