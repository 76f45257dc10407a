"""Hydra's own conformance tests, on configurations that are not ours: `make test-launcher`."""

import pytest
from hydra.test_utils.launcher_common_tests import IntegrationTestSuite, LauncherTestSuite

pytestmark = [
    pytest.mark.slow,
    # Hydra's test configurations and its runner were written for an older version of itself.
    pytest.mark.filterwarnings("ignore:(?s).*The version_base parameter is not specified:UserWarning"),
    pytest.mark.filterwarnings("ignore:(?s).*Defaults list is missing `_self_`:UserWarning"),
    pytest.mark.filterwarnings("ignore:(?s).*Future Hydra versions will no longer change:UserWarning"),
]


@pytest.mark.parametrize(("launcher_name", "overrides"), [("local", [])])
class TestLocalLauncher(LauncherTestSuite):
    pass


@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"), [({}, ["-m", "hydra/launcher=local", "hydra/sweeper=basic"])]
)
class TestLocalLauncherIntegration(IntegrationTestSuite):
    pass
