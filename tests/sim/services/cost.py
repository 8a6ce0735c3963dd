"""What it costs: the Usage API and budgets."""

import calendar
import datetime
import functools

from catalog import invalid, missing, not_found, read_time, write_time
from engine import operation
from world import HOME

CURRENCY = "EUR"
DAYS = 400
PAGE = 100
# Service, SKU, unit, compartment, region, resource, what a day costs.
LINES = (
    ("COMPUTE", "Compute - Standard - E4 - OCPU", "OCPU Hours", "prod", HOME,
     "web", 61.0),
    ("COMPUTE", "Compute - Standard - E5 - OCPU", "OCPU Hours", "prod", HOME,
     "orders", 118.0),
    ("COMPUTE", "Compute - Standard - E4 - Memory", "Gigabyte Hours", "prod",
     HOME, "web", 22.5),
    ("COMPUTE", "Compute - Standard - E4 - OCPU", "OCPU Hours", "dev", HOME,
     "dev-box", 17.0),
    ("COMPUTE", "Compute - Standard - E5 - OCPU", "OCPU Hours", "shared",
     HOME, "build", 31.0),
    ("COMPUTE", "Compute - Standard - E4 - OCPU", "OCPU Hours", "prod",
     "eu-frankfurt-1", "recovery", 12.0),
    ("DATABASE", "Autonomous Database - ECPU", "ECPU Hours", "prod", HOME,
     "ordersdb", 96.0),
    ("DATABASE", "Autonomous Data Warehouse - ECPU", "ECPU Hours", "prod",
     HOME, "warehouse", 171.0),
    ("DATABASE", "Autonomous Database - ECPU", "ECPU Hours", "dev", HOME,
     "devdb", 9.5),
    ("DATABASE", "Database Enterprise Edition - OCPU", "OCPU Hours", "prod",
     HOME, "erp", 84.0),
    ("BLOCK_STORAGE", "Block Volume - Storage", "Gigabyte Months", "prod",
     HOME, "volumes", 14.2),
    ("BLOCK_STORAGE", "Block Volume - Storage", "Gigabyte Months", "dev",
     HOME, "volumes", 3.1),
    ("OBJECTSTORE", "Object Storage - Storage", "Gigabyte Months", "prod",
     HOME, "media", 7.7),
    ("OBJECTSTORE", "Object Storage - Storage", "Gigabyte Months", "shared",
     HOME, "backups", 4.4),
    ("LOAD_BALANCER", "Load Balancer - Base", "Load Balancer Hours", "prod",
     HOME, "shop", 6.4),
    ("NETWORK", "Outbound Data Transfer", "Gigabytes", "prod", HOME, "egress",
     11.0),
    ("OKE", "Enhanced Cluster", "Cluster Hours", "prod", HOME, "shop", 2.4),
    ("FUNCTIONS", "Functions - Execution", "Gigabyte Seconds", "prod", HOME,
     "thumbnails", 0.35),
    ("LOGGING", "Logging - Storage", "Gigabyte Months", "shared", HOME,
     "logs", 1.8),
    ("KMS", "Vault - Key Versions", "Key Versions", "shared", HOME, "main",
     0.9),
)
# So many days ago somebody left large machines running in dev.
ANOMALY_DAYS_AGO, ANOMALY_FACTOR = 17, 14.0
ANOMALY = ("COMPUTE", "dev")
GROUPS = ("tagNamespace", "tagKey", "tagValue", "service", "skuName",
          "skuPartNumber", "unit", "compartmentName", "compartmentPath",
          "compartmentId", "platform", "region", "logicalAd", "resourceId",
          "resourceName", "tenantId", "tenantName")
# The longest time that may be asked for.
LONGEST = {"HOURLY": datetime.timedelta(hours=36),
           "DAILY": datetime.timedelta(days=90),
           "MONTHLY": datetime.timedelta(days=366),
           "TOTAL": datetime.timedelta(days=366)}
# Name, compartment, amount a month, share spent, rules (type, percentage).
BUDGETS = (("prod-monthly", "prod", 20000.0, 0.61, (("ACTUAL", 80.0),
                                                    ("FORECAST", 100.0))),
           ("dev-monthly", "dev", 900.0, 1.12, (("ACTUAL", 90.0),)),
           ("everything", "tenancy", 25000.0, 0.64, (("FORECAST", 100.0),)))


def fill(world):
    for name, where, amount, share, rules in BUDGETS:
        stamp = {"timeCreated": world.time(days=300), "version": 1,
                 "timeUpdated": world.time(days=30), "freeformTags": {},
                 "definedTags": {}, "lifecycleState": "ACTIVE"}
        budget = world.add("budget/Budget", HOME, {
            "id": world.ocid("budget", HOME, name),
            "compartmentId": world.tenancy, "displayName": name,
            "description": "Budget of " + where, "amount": amount,
            "resetPeriod": "MONTHLY", "targetType": "COMPARTMENT",
            "targets": [world.names[where]],
            "targetCompartmentId": world.names[where],
            "alertRuleCount": len(rules),
            "actualSpend": round(amount * share, 2),
            "forecastedSpend": round(amount * share * 1.3, 2),
            "timeSpendComputed": world.time(hours=5), **stamp})
        for kind, threshold in rules:
            world.add("budget/AlertRule", HOME, {
                "id": world.ocid("budgetalertrule", HOME, name, kind),
                "budgetId": budget["id"], "displayName": "%s %s" % (
                    name, kind.lower()), "type": kind,
                "threshold": threshold, "thresholdType": "PERCENTAGE",
                "recipients": "finance@acme.example",
                "message": "Mind the money.", **stamp})


@functools.lru_cache(20 * DAYS)
def noise_of(world, number, day):
    return world.random("cost", number, day.isoformat()).uniform(0.95, 1.05)


def day_cost(world, number, day):
    """What line number cost on a day (a date)."""
    service, _, _, where, _, _, base = LINES[number]
    ago = (world.start.date() - day).days
    if not 0 <= ago <= DAYS:
        return None
    weekend = 0.8 if day.weekday() >= 5 else 1.0
    growth = 1.0 - ago * 0.0008
    noise = noise_of(world, number, day)
    if (service, where) == ANOMALY and ago == ANOMALY_DAYS_AGO:
        noise *= ANOMALY_FACTOR
    return base * weekend * growth * noise


def midnight(moment):
    return moment == moment.replace(hour=0, minute=0, second=0, microsecond=0)


def check_bounds(start, end, granularity):
    if end <= start:
        raise invalid("timeUsageEnded must be after timeUsageStarted")
    if granularity == "HOURLY":
        if any(m.minute or m.second or m.microsecond for m in (start, end)):
            raise invalid("UTC date does not have the right precision: "
                          "minutes and seconds must be 0")
    elif not midnight(start) or not midnight(end):
        raise invalid("UTC date does not have the right precision: hours, "
                      "minutes, seconds, and second fractions must be 0")
    if granularity == "MONTHLY" and (start.day != 1 or end.day != 1):
        raise invalid("MONTHLY needs the first day of a month")
    if end - start > LONGEST[granularity]:
        raise invalid("%s cannot cover more than %s" % (
            granularity, LONGEST[granularity]))


def periods(start, end, granularity):
    if granularity == "TOTAL":
        return [(start, end)]
    out = []
    while start < end:
        if granularity == "MONTHLY":
            step = datetime.timedelta(days=calendar.monthrange(
                start.year, start.month)[1])
        else:
            step = datetime.timedelta(**{
                "hours" if granularity == "HOURLY" else "days": 1})
        out.append((start, min(end, start + step)))
        start += step
    return out


def describe(world, number):
    """Every dimension of a line."""
    service, sku, unit, where, region, name, _ = LINES[number]
    return {"service": service, "skuName": sku, "unit": unit,
            "skuPartNumber": "B%05d" % (90000 + number),
            "compartmentId": world.names[where], "compartmentName": where,
            "compartmentPath": "acme/" + where, "region": region,
            "resourceName": name, "platform": "Gen-2",
            "resourceId": world.ocid("resource", region, name),
            "tenantId": world.tenancy, "tenantName": "acme",
            "logicalAd": None, "tagNamespace": None, "tagKey": None,
            "tagValue": None}


def passes(filters, line):
    if not filters:
        return True
    results = [line.get(d["key"]) == d["value"]
               for d in filters.get("dimensions") or []]
    results += [passes(f, line) for f in filters.get("filters") or []]
    operator = filters.get("operator", "AND")
    if not results:
        return True
    if operator == "NOT":
        return not any(results)
    return any(results) if operator == "OR" else all(results)


def period_cost(world, number, start, end):
    """(amount, whether anything is known) of a line in a period."""
    total, known = 0.0, False
    hours = (end - start).total_seconds() / 3600
    if hours < 24:
        cost = day_cost(world, number, start.date())
        if cost is None or start > world.now():
            return 0.0, False
        return cost * hours / 24, True
    day = start
    while day < end:
        cost = day_cost(world, number, day.date())
        if cost is not None:
            total, known = total + cost, True
        day += datetime.timedelta(days=1)
    return total, known


@operation("usage_api.RequestSummarizedUsages")
def summarize(call):
    world, body = call.world, call.body
    if body["tenantId"] != world.tenancy:
        raise not_found()
    start = read_time(body["timeUsageStarted"])
    end = read_time(body["timeUsageEnded"])
    check_bounds(start, end, body["granularity"])
    groups = body.get("groupBy") or []
    for group in groups:
        if group not in GROUPS:
            raise invalid("groupBy: %s is not one of %s" % (
                group, ", ".join(GROUPS)))
    depth = body.get("compartmentDepth")
    if depth is None and any(g.startswith("compartment") for g in groups):
        raise missing("compartmentDepth")
    if depth is not None and not 1 <= depth <= 7:
        raise invalid("compartmentDepth must be between 1 and 7")
    granularity = "TOTAL" if body.get("isAggregateByTime") \
        else body["granularity"]
    items = []
    for first, last in periods(start, end, granularity):
        items += rows(call, first, last, groups, body)
    items += forecast(call, groups, body, start)
    page = call.query.get("limit") or PAGE
    call.query["limit"] = min(page, 1000)
    return {"groupBy": groups, "items": call.page(items)}


def rows(call, start, end, groups, body):
    world, sums = call.world, {}
    for number in range(len(LINES)):
        line = describe(world, number)
        if not passes(body.get("filter"), line):
            continue
        amount, known = period_cost(world, number, start, end)
        if known:
            key = tuple(line[g] for g in groups)
            old = sums.get(key, (line, 0.0))
            sums[key] = line, old[1] + amount
    out = [row(world, start, end, groups, line, amount, body)
           for line, amount in sums.values()]
    # A period without usage is there all the same, with nothing in it.
    return out or [row(world, start, end, (), {}, None, body)]


def row(world, start, end, groups, line, amount, body):
    made = {name: None for name in (
        "service", "skuName", "skuPartNumber", "unit", "compartmentId",
        "compartmentName", "compartmentPath", "region", "resourceId",
        "resourceName", "platform", "ad")}
    made.update({g: line.get(g) for g in groups})
    usage = body.get("queryType") in ("USAGE", "USAGE_ONLY")
    made.update({
        "tenantId": world.tenancy, "tenantName": "acme",
        "timeUsageStarted": write_time(start), "timeUsageEnded":
        write_time(end), "currency": CURRENCY, "isForecast": False,
        "computedAmount": None if usage or amount is None
        else round(amount, 6), "tags": [{"namespace": None, "key": None,
                                         "value": None}],
        "computedQuantity": None if amount is None
        else round(amount * 20, 4)})
    return made


def forecast(call, groups, body, start):
    wish = body.get("forecast")
    if not wish:
        return []
    world = call.world
    end = read_time(wish["timeForecastEnded"])
    first = read_time(wish.get("timeForecastStarted") or
                      body["timeUsageEnded"])
    if end <= first:
        raise invalid("timeForecastEnded must be after timeForecastStarted")
    month = world.start.replace(hour=0, minute=0, second=0, microsecond=0)
    past = rows(call, month - datetime.timedelta(days=30), month, (),
                dict(body, filter=body.get("filter")))
    a_day = (past[0]["computedAmount"] or 0.0) / 30
    out = []
    for one, other in periods(first, end, body["granularity"]):
        made = row(world, one, other, (), {},
                   a_day * (other - one).total_seconds() / 86400, body)
        out.append(dict(made, isForecast=True))
    return out


@operation("usage_api.RequestSummarizedConfigurations")
def configurations(call):
    return {"items": [{"key": "service", "values": sorted(
        {line[0] for line in LINES})}]}


@operation("usage_api.ListSchedules")
def list_schedules(call):
    return call.answer_list([])


def budget_of(call):
    return call.find("budget/Budget", call.params["budgetId"])


@operation("budget.ListBudgets")
def list_budgets(call):
    # They belong to the tenancy, whatever they watch.
    return call.answer_list(call.all("budget/Budget"),
                            ignore=("targetType",))


@operation("budget.ListAlertRules")
def list_alert_rules(call):
    budget = budget_of(call)
    return call.answer_list([r for r in call.all("budget/AlertRule")
                             if r["budgetId"] == budget["id"]])


@operation("budget.CreateBudget")
def create_budget(call):
    return call.answer(call.create("budget/Budget", "budget", {
        "lifecycleState": "ACTIVE", "alertRuleCount": 0, "actualSpend": 0.0,
        "forecastedSpend": 0.0, "timeUpdated": call.world.time()}))


@operation("budget.CreateAlertRule")
def create_alert_rule(call):
    budget = budget_of(call)
    call.world.change(budget, alertRuleCount=budget["alertRuleCount"] + 1)
    return call.answer(call.create("budget/AlertRule", "budgetalertrule", {
        "budgetId": budget["id"], "lifecycleState": "ACTIVE",
        "timeUpdated": call.world.time()}))
