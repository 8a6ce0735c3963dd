"""The tools of costs, against a simulated tenancy."""

import collections
import datetime

import pytest

UTC = datetime.timezone.utc
TODAY = datetime.datetime.now(UTC).date()
USAGE = "usage_api.RequestSummarizedUsages"


def day(ago):
    return (TODAY - datetime.timedelta(days=ago)).isoformat()


def bill(cloud, start, end, groups=("service",)):
    """What the Usage API says to a client that asks day by day."""
    rows = collections.Counter()
    client = cloud.tenancy.client()
    first, last = map(datetime.date.fromisoformat, (start, end))
    if (last - first).days > 90:
        middle = (first + datetime.timedelta(days=90)).isoformat()
        return bill(cloud, start, middle, groups) + bill(cloud, middle, end,
                                                         groups)
    body = {"tenantId": cloud.said["tenancy"], "granularity": "DAILY",
            "timeUsageStarted": start + "T00:00:00Z",
            "timeUsageEnded": end + "T00:00:00Z", "queryType": "COST",
            "groupBy": list(groups), "compartmentDepth": 7}
    page = None
    while True:
        target = "/20200107/usage?limit=1000" + (
            "&page=" + page if page else "")
        answer = client.call("POST", target, body)
        assert answer.status == 200, answer.body
        for row in answer.value["items"]:
            if row["computedAmount"] is not None:
                rows[tuple(row[g] for g in groups)] += row["computedAmount"]
        page = answer.headers.get("opc-next-page")
        if not page:
            return rows


def near(value):
    return pytest.approx(value, abs=0.011)


# -- summary


def test_summary(cloud):
    start, end = day(40), day(10)
    real = bill(cloud, start, end)
    found = cloud.call("oci_cost_get_summary", time_start=start + "T00:00:00Z",
                       time_end=end + "T00:00:00Z")
    assert found["total_cost"] == near(sum(real.values()))
    assert found["currency"] == "EUR" and found["days"] == 30
    assert found["daily_average"] == near(sum(real.values()) / 30)
    assert [(row["service"], row["cost"]) for row in found["by_service"]] == [
        (service, near(cost)) for (service,), cost in real.most_common(10)]
    assert sum(row["percentage"] for row in found["by_service"]) == \
        pytest.approx(100, abs=1)
    assert len(found["by_period"]) == 30
    assert found["by_period"][0]["start"] == start


def test_an_end_within_a_day_means_that_day(cloud):
    """The documented example ends at 23:59:59, which the API refuses."""
    until = cloud.call("oci_cost_get_summary", time_start=day(9),
                       time_end=day(3) + "T23:59:59Z")
    exact = cloud.call("oci_cost_get_summary", time_start=day(9),
                       time_end=day(2))
    assert until == exact
    assert until["period_end"] == day(2) + "T00:00:00Z"


def test_months(cloud):
    first = TODAY.replace(day=1)
    start = (first - datetime.timedelta(days=75)).replace(day=17)
    found = cloud.call("oci_cost_get_summary", granularity="MONTHLY",
                       time_start=start.isoformat(),
                       time_end=first.isoformat())
    assert found["period_start"] == start.replace(
        day=1).isoformat() + "T00:00:00Z"
    assert all(row["start"].endswith("-01") for row in found["by_period"])
    assert found["total_cost"] == near(sum(bill(
        cloud, start.replace(day=1).isoformat(),
        first.isoformat()).values()))


def test_a_long_period_is_read_in_pieces_and_pages(cloud):
    before = len(cloud.requests())
    found = cloud.call("oci_cost_get_summary", time_start=day(200),
                       time_end=day(1))
    assert found["days"] == 199 and len(found["by_period"]) == 199
    halves = [cloud.call("oci_cost_get_summary", time_start=one, time_end=other)
              for one, other in ((day(200), day(110)), (day(110), day(1)))]
    assert found["total_cost"] == near(sum(h["total_cost"] for h in halves))
    assert len(cloud.requests()) > before + 6


@pytest.mark.parametrize("start, end", [
    (5, 5), (3, 9)], ids=["empty", "backwards"])
def test_periods_that_are_none(cloud, start, end):
    error = cloud.fails("oci_cost_get_summary", time_start=day(start),
                        time_end=day(end))
    assert error["category"] == "validation"
    assert "time_start" in error["error"]


def test_ten_years_are_too_long(cloud):
    error = cloud.fails("oci_cost_get_summary", time_start="2010-01-01",
                        time_end="2020-01-01")
    assert error["category"] == "validation" and "1080" in error["error"]


def test_a_refusal_names_the_request(cloud):
    with cloud.fault(USAGE, status=403, code="NotAuthorized",
                     message="No usage for you."):
        error = cloud.fails("oci_cost_get_summary", time_start=day(9),
                            time_end=day(2))
    assert error["category"] == "authorization"
    assert error["details"]["status"] == 403
    assert error["details"]["opc_request_id"]


# -- by service and by compartment


def test_by_service(cloud):
    start, end = day(31), day(1)
    real = bill(cloud, start, end, ("service", "compartmentName"))
    services = collections.Counter()
    for (service, _), cost in real.items():
        services[service] += cost
    found = cloud.call("oci_cost_by_service", time_start=start, time_end=end,
                       top_n=3)
    assert found["total"] == near(sum(services.values()))
    assert [(s["service"], s["cost"]) for s in found["services"]] == [
        (name, near(cost)) for name, cost in services.most_common(3)]
    assert found["other_cost"] == near(sum(
        cost for _, cost in services.most_common()[3:]))
    for row in found["services"]:
        assert [(c["name"], c["cost"]) for c in row["compartments"]] == [
            (name, near(cost)) for (service, name), cost
            in real.most_common() if service == row["service"]]


def test_scope(cloud):
    start, end = day(31), day(1)
    real = bill(cloud, start, end, ("compartmentName",))
    for name in ("prod", "dev", "shared"):
        found = cloud.call("oci_cost_by_service", time_start=start,
                           time_end=end,
                           scope_compartment_id=cloud.compartments[name])
        assert found["total"] == near(real[name,])
        assert found["scope"] == {
            "compartment_id": cloud.compartments[name],
            "include_children": False}
    tenancy = {"scope_compartment_id": cloud.said["tenancy"]}
    assert cloud.call("oci_cost_by_service", time_start=start, time_end=end,
                      **tenancy)["total"] == 0
    assert cloud.call("oci_cost_by_service", time_start=start, time_end=end,
                      include_children=True, **tenancy)["total"] == near(
        sum(real.values()))


def test_by_compartment(cloud):
    start, end = day(31), day(1)
    real = bill(cloud, start, end, ("compartmentName", "service"))
    sums = collections.Counter()
    for (name, _), cost in real.items():
        sums[name] += cost
    found = cloud.call("oci_cost_by_compartment", time_start=start,
                       time_end=end)
    assert found["total_cost"] == near(sum(sums.values()))
    assert [(c["name"], c["cost"]) for c in found["compartments"]] == [
        (name, near(cost)) for name, cost in sums.most_common()]
    prod = found["compartments"][0]
    assert prod["path"] == "acme / prod"
    assert prod["id"] == cloud.compartments["prod"]
    assert [(s["service"], s["cost"]) for s in prod["services"]] == [
        (service, near(cost)) for (name, service), cost
        in real.most_common() if name == "prod"][:5]


def test_children_need_the_compartments(cloud):
    with cloud.fault("identity.ListCompartments", status=404,
                     code="NotAuthorizedOrNotFound", message="no"):
        error = cloud.fails("oci_cost_by_compartment", time_start=day(9),
                            time_end=day(2), include_children=True,
                            scope_compartment_id=cloud.said["tenancy"])
        assert "compartments" in error["error"]
        # Without them there are no names, but figures.
        found = cloud.call("oci_cost_by_compartment", time_start=day(9),
                           time_end=day(2))
    assert found["compartments"][0]["name"] == cloud.compartments["prod"]


# -- months


def test_trend(cloud):
    first = TODAY.replace(day=1)
    found = cloud.call("oci_cost_monthly_trend", months_back=3)
    months = found["monthly_costs"]
    assert found["summary"]["months_analyzed"] == len(months) == 3
    last = first - datetime.timedelta(days=1)
    assert months[-1]["month"] == last.strftime("%Y-%m")
    assert months[-1]["cost"] == near(sum(bill(
        cloud, last.replace(day=1).isoformat(), first.isoformat()).values()))
    assert months[0]["change_percent"] is None
    assert months[2]["change_percent"] == pytest.approx(
        (months[2]["cost"] / months[1]["cost"] - 1) * 100, abs=0.1)
    mean = sum(m["cost"] for m in months) / 3
    assert found["forecast"]["estimate"] == near(mean)
    assert found["forecast"]["trend"] in ("increasing", "stable",
                                          "decreasing")
    assert found["current_month"]["month"] == first.strftime("%Y-%m")
    assert found["current_month"]["days"] == TODAY.day - 1
    if TODAY.day > 1:
        assert found["current_month"]["cost_to_date"] == near(sum(bill(
            cloud, first.isoformat(), TODAY.isoformat()).values()))


def test_budget(cloud):
    budget = cloud.one("budget/Budget", displayName="dev-monthly")
    found = cloud.call("oci_cost_monthly_trend", budget_ocid=budget["id"],
                       include_forecast=False)
    assert "forecast" not in found
    assert found["budget"]["amount"] == 900
    assert found["budget"]["actual_spend"] == budget["actualSpend"]
    assert found["budget"]["actual_percent"] == 112
    assert found["budget"]["remaining"] == near(900 - budget["actualSpend"])
    assert found["budget"]["status"] == "exceeded"
    error = cloud.fails("oci_cost_monthly_trend",
                        budget_ocid="ocid1.budget.oc1.iad.nothing")
    assert error["category"] == "not_found"


# -- anomalies


def test_anomaly(cloud):
    """Somebody left large machines running, 17 days ago."""
    start, end = day(45), day(1)
    found = cloud.call("oci_cost_detect_anomalies", time_start=start,
                       time_end=end, threshold=3)
    assert found["summary"]["total_anomalies"] == 1
    row = found["anomalies"][0]
    assert row["date"] == day(17)
    cause = row["root_cause"]["contributors"][0]
    assert cause["service"] == "COMPUTE"
    assert cause["increase"] == near(cause["cost"] - cause["usual_cost"])
    assert row["cost"] == near(sum(bill(cloud, day(17), day(16)).values()))
    assert row["severity"] == ("critical" if row["z_score"] > 4 else "high")
    assert found["detection_params"]["days"] == 44
    only = cloud.call("oci_cost_detect_anomalies", time_start=start,
                      time_end=end, threshold=3,
                      scope_compartment_id=cloud.compartments["prod"])
    assert only["anomalies"] == []


def test_two_days_are_too_few(cloud):
    error = cloud.fails("oci_cost_detect_anomalies", time_start=day(3),
                        time_end=day(1))
    assert error["category"] == "validation"


def test_another_tenancy(cloud):
    error = cloud.fails("oci_cost_by_service", time_start=day(9),
                        time_end=day(2), tenancy_ocid="ocid1.tenancy.oc1..x")
    assert error["category"] == "not_found"


def test_markdown(cloud):
    text = cloud.text("oci_cost_by_service", time_start=day(9),
                      time_end=day(2))
    assert "| DATABASE |" in text and "EUR" in text
