import pytest

from queue_server.web.openapi.names import made_name, path_parameters


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/v1/jobs", "getJobs"),
        ("GET", "/v1/jobs/{job_id}", "getJob"),
        ("PATCH", "/v1/jobs/{job_id}", "changeJob"),
        ("DELETE", "/v1/jobs/{job_id}", "deleteJob"),
        ("GET", "/v1/jobs/{job_id}/output", "getJobOutput"),
        ("POST", "/v1/jobs/{job_id}/cancel", "cancelJob"),
        ("POST", "/v1/jobs:cancel", "cancelJobs"),
        ("POST", "/v1/jobs/batch", "addJobsBatch"),
        ("POST", "/v1/jobs/{job_id}/attempts/{claim}/heartbeat", "heartbeatJobAttempt"),
        ("GET", "/v1/openapi.json", "getOpenapiJson"),
    ],
)
def test_request_without_a_name_gets_one_of_its_method_and_path(method, path, name):
    assert made_name(method, path) == name


def test_parameters_of_a_path_come_in_their_order():
    assert path_parameters("/v1/jobs/{job_id}/attempts/{claim}/fail") == ["job_id", "claim"]
