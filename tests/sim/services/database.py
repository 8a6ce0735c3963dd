"""Databases: autonomous ones, DB systems, MySQL, and their backups."""

from catalog import missing, not_found
from engine import operation
from http1 import Response
from world import HOME

# Name, compartment, workload, state, units, size in TB, free, auto-scaling.
AUTONOMOUS = {
    HOME: (
        ("ordersdb", "prod", "OLTP", "AVAILABLE", 8, 2, False, True),
        ("paymentsdb", "prod", "OLTP", "AVAILABLE", 4, 1, False, True),
        ("warehouse", "prod", "DW", "AVAILABLE", 16, 8, False, True),
        ("catalogjson", "prod", "AJD", "AVAILABLE", 2, 1, False, False),
        ("reports", "prod", "DW", "STOPPED", 4, 4, False, False),
        ("devdb", "dev", "OLTP", "AVAILABLE", 2, 1, False, False),
        ("playground", "dev", "APEX", "STOPPED", 1, 1, True, False),
        ("oldtests", "dev", "OLTP", "UNAVAILABLE", 2, 1, False, False),
        ("scratch", "dev", "OLTP", "TERMINATED", 1, 1, False, False),
        ("metadata", "shared", "APEX", "AVAILABLE", 2, 1, False, False)),
    "eu-frankfurt-1": (
        ("ordersdbdr", "prod", "OLTP", "STOPPED", 8, 2, False, True),)}
# Name, compartment, shape, processors, nodes, size in GB, edition, state.
SYSTEMS = (
    ("erp", "prod", "VM.Standard.E4.Flex", 8, 2, 2048,
     "ENTERPRISE_EDITION_EXTREME_PERFORMANCE", "AVAILABLE"),
    ("crm", "prod", "VM.Standard.E4.Flex", 4, 1, 1024, "ENTERPRISE_EDITION",
     "AVAILABLE"),
    ("testbed", "dev", "VM.Standard.E4.Flex", 2, 1, 256, "STANDARD_EDITION",
     "AVAILABLE"))
MYSQL = (("shopfront", "prod", "ACTIVE", True), ("wiki", "shared", "ACTIVE",
                                                 False),
         ("mysqltest", "dev", "INACTIVE", False))


def fill(world):
    for region, rows in AUTONOMOUS.items():
        for number, row in enumerate(rows):
            fill_autonomous(world, region, number, *row)
    for number, row in enumerate(SYSTEMS):
        fill_system(world, number, *row)
    for number, row in enumerate(MYSQL):
        fill_mysql(world, number, *row)


def fill_autonomous(world, region, number, name, where, workload, state,
                    units, terabytes, free, scaling):
    host = "adb.%s.oraclecloud.com" % region
    strings = {level: "%s:1522/%s_%s.adb.oraclecloud.com" % (
        host, name, level) for level in ("high", "medium", "low")}
    database = world.add("database/AutonomousDatabase", region, {
        "id": world.ocid("autonomousdatabase", region, name),
        "compartmentId": world.names[where], "displayName": name,
        "dbName": name.upper()[:14], "dbWorkload": workload,
        "lifecycleState": state, "lifecycleDetails": None,
        "computeModel": "ECPU", "computeCount": float(units),
        "cpuCoreCount": units, "dataStorageSizeInTBs": terabytes,
        "dataStorageSizeInGBs": 1024 * terabytes,
        "usedDataStorageSizeInTBs": terabytes - 1 or 1,
        "actualUsedDataStorageSizeInTBs": 0.4 * terabytes,
        "isAutoScalingEnabled": scaling,
        "isAutoScalingForStorageEnabled": False, "isFreeTier": free,
        "isDedicated": False, "infrastructureType": "CLOUD",
        "isDataGuardEnabled": name == "ordersdb",
        "isRefreshableClone": False, "isMtlsConnectionRequired": True,
        "isAccessControlEnabled": False, "dbVersion": "23ai" if free
        else "19c", "licenseModel": "LICENSE_INCLUDED",
        "databaseEdition": "ENTERPRISE_EDITION", "role": "PRIMARY",
        "openMode": "READ_WRITE", "permissionLevel": "UNRESTRICTED",
        "backupRetentionPeriodInDays": 60, "totalBackupStorageSizeInGBs": 90.5,
        "connectionStrings": {
            **strings, "dedicated": None,
            "allConnectionStrings": {k.upper(): v for k, v in strings.items()},
            "profiles": []},
        "connectionUrls": {
            "apexUrl": "https://%s.%s/ords/apex" % (name, host),
            "sqlDevWebUrl": "https://%s.%s/ords/sql-developer" % (name, host)},
        "privateEndpoint": None, "subnetId": None, "nsgIds": [],
        "whitelistedIps": [], "customerContacts": [
            {"email": "dba@acme.example"}],
        "timeCreated": world.time(days=380 - 20 * number),
        "freeformTags": {"application": name}, "definedTags": {}})
    for day in range(4 if state == "AVAILABLE" else 1):
        automatic = day != 3
        world.add("database/AutonomousDatabaseBackup", region, {
            "id": world.ocid("autonomousdatabasebackup", region, name, day),
            "compartmentId": database["compartmentId"],
            "autonomousDatabaseId": database["id"],
            "displayName": "%s %s %d" % (name, "automatic" if automatic
                                         else "before the upgrade", day),
            "type": "INCREMENTAL" if automatic else "FULL",
            "isAutomatic": automatic,
            "lifecycleState": "FAILED" if (name, day) == ("warehouse", 1)
            else "ACTIVE", "isRestorable": True, "dbVersion": "19c",
            "databaseSizeInTBs": 0.4 * terabytes, "sizeInTBs": 0.1 * terabytes,
            "infrastructureType": "CLOUD", "retentionPeriodInDays": 60,
            "timeStarted": world.time(days=day, hours=5),
            "timeEnded": world.time(days=day, hours=4, minutes=20),
            "timeAvailableTill": world.time(days=day - 60)})


def fill_system(world, number, name, where, shape, cpus, nodes, size, edition,
                state):
    compartment = world.names[where]
    domain = world.domain(HOME, number % 3 + 1)
    subnets = {s["displayName"]: s["id"]
               for s in world.table("core/Subnet", HOME).values()}
    stamp = {"compartmentId": compartment, "lifecycleState": state,
             "timeCreated": world.time(days=350 - number),
             "freeformTags": {"application": name}, "definedTags": {}}
    system = world.add("database/DbSystem", HOME, {
        "id": world.ocid("dbsystem", HOME, name), **stamp,
        "displayName": name, "availabilityDomain": domain,
        "faultDomains": ["FAULT-DOMAIN-1"][:nodes], "shape": shape,
        "subnetId": subnets["prod-db" if where == "prod" else "dev-app"],
        "cpuCoreCount": cpus, "nodeCount": nodes, "databaseEdition": edition,
        "dataStorageSizeInGBs": size, "recoStorageSizeInGB": size // 4,
        "memorySizeInGBs": 16 * cpus, "hostname": name,
        "domain": "proddb.prod.oraclevcn.com", "listenerPort": 1521,
        "licenseModel": "BRING_YOUR_OWN_LICENSE", "version": "19.24.0.0.0",
        "diskRedundancy": "NORMAL", "clusterName": name + "cl",
        "sshPublicKeys": ["ssh-ed25519 AAAA example"], "nsgIds": [],
        "dataStoragePercentage": 80, "timeZone": "UTC"})
    home = world.add("database/DbHome", HOME, {
        "id": world.ocid("dbhome", HOME, name), **stamp,
        "displayName": "dbhome-" + name, "dbSystemId": system["id"],
        "dbVersion": "19.24.0.0.0", "dbHomeLocation":
        "/u01/app/oracle/product/19.0.0.0/dbhome_1",
        "isUnifiedAuditingEnabled": True})
    for node in range(nodes):
        world.add("database/DbNode", HOME, {
            "id": world.ocid("dbnode", HOME, name, node), **stamp,
            "dbSystemId": system["id"], "hostname": "%s%d" % (name, node + 1),
            "vnicId": world.ocid("vnic", HOME, name, node),
            "faultDomain": "FAULT-DOMAIN-%d" % (node + 1),
            "softwareStorageSizeInGB": 200, "cpuCoreCount": cpus // nodes,
            "memorySizeInGBs": 16 * cpus // nodes})
    database = world.add("database/Database", HOME, {
        "id": world.ocid("database", HOME, name), **stamp,
        "dbName": name.upper(), "dbUniqueName": name.upper() + "_iad",
        "pdbName": name.upper() + "PDB", "dbHomeId": home["id"],
        "dbSystemId": system["id"], "systemId": system["id"],
        "dbWorkload": "OLTP", "characterSet": "AL32UTF8", "isCdb": True,
        "ncharacterSet": "AL16UTF16", "lastBackupTimestamp":
        world.time(hours=6), "dbBackupConfig": {
            "autoBackupEnabled": name != "testbed",
            "recoveryWindowInDays": 30},
        "connectionStrings": {"cdbDefault": "%s:1521/%s" % (name, name)}})
    for day in range(3 if name != "testbed" else 0):
        world.add("database/Backup", HOME, {
            "id": world.ocid("dbbackup", HOME, name, day),
            "compartmentId": compartment, "databaseId": database["id"],
            "displayName": "%s automatic %d" % (name, day),
            "type": "FULL" if day == 2 else "INCREMENTAL",
            "lifecycleState": "ACTIVE", "availabilityDomain": domain,
            "databaseEdition": edition, "databaseSizeInGBs": size * 0.6,
            "shape": shape, "version": "19.24.0.0.0",
            "backupDestinationType": "OBJECT_STORE",
            "timeStarted": world.time(days=day, hours=7),
            "timeEnded": world.time(days=day, hours=6)})


def fill_mysql(world, number, name, where, state, available):
    domain = world.domain(HOME, number + 1)
    system = world.add("mysql/DbSystem", HOME, {
        "id": world.ocid("mysqldbsystem", HOME, name), "displayName": name,
        "description": name, "compartmentId": world.names[where],
        "lifecycleState": state, "mysqlVersion": "8.4.3",
        "isHighlyAvailable": available, "isHeatWaveClusterAttached": False,
        "availabilityDomain": domain, "faultDomain": "FAULT-DOMAIN-1",
        "shapeName": "MySQL.4", "dataStorageSizeInGBs": 100,
        "dataStorage": {"dataStorageSizeInGBs": 100,
                        "allocatedStorageSizeInGBs": 100},
        "maintenance": {"windowStartTime": "sun 03:00"},
        "deletionPolicy": {"isDeleteProtected": False},
        "subnetId": world.ocid("subnet", HOME, "prod-db"),
        "databaseMode": "READ_WRITE", "accessMode": "UNRESTRICTED",
        "endpoints": [{"ipAddress": "10.0.2.%d" % (60 + number), "port": 3306,
                       "portX": 33060, "modes": ["READ", "WRITE"],
                       "status": "ACTIVE"}],
        "timeCreated": world.time(days=200), "timeUpdated": world.time(days=9),
        "freeformTags": {}, "definedTags": {}})
    for day in range(2):
        world.add("mysql/Backup", HOME, {
            "id": world.ocid("mysqlbackup", HOME, name, day),
            "displayName": "%s daily %d" % (name, day),
            "compartmentId": system["compartmentId"],
            "dbSystemId": system["id"], "lifecycleState": "ACTIVE",
            "backupType": "INCREMENTAL", "creationType": "AUTOMATIC",
            "backupSizeInGBs": 21, "dataStorageSizeInGBs": 100,
            "retentionInDays": 7, "mysqlVersion": "8.4.3",
            "shapeName": "MySQL.4", "timeCreated": world.time(days=day)})


def autonomous(call):
    return call.find("database/AutonomousDatabase",
                     call.params["autonomousDatabaseId"])


# Operation: states it is for, the state it leads through and to.
ACTIONS = {"StartAutonomousDatabase": (("STOPPED", "UNAVAILABLE"), "STARTING",
                                       "AVAILABLE"),
           "StopAutonomousDatabase": (("AVAILABLE",), "STOPPING", "STOPPED"),
           "RestartAutonomousDatabase": (("AVAILABLE",), "RESTARTING",
                                         "AVAILABLE")}


@operation(*("database." + name for name in ACTIONS))
def autonomous_action(call):
    database = autonomous(call)
    call.transition(database, *ACTIONS[call.op.name])
    call.work(call.op.name, database)
    return call.answer(database)


@operation("database.UpdateAutonomousDatabase")
def update_autonomous(call):
    database = autonomous(call)
    call.transition(database, ("AVAILABLE", "STOPPED"), "SCALE_IN_PROGRESS",
                    database["lifecycleState"])
    call.world.change(database, **call.body)
    call.work(call.op.name, database)
    return call.answer(database)


@operation("database.ListAutonomousDatabaseBackups")
def list_autonomous_backups(call):
    if not {"autonomousDatabaseId", "compartmentId"} & set(call.query):
        raise missing("compartmentId")
    if "autonomousDatabaseId" in call.query:
        call.find("database/AutonomousDatabase",
                  call.query["autonomousDatabaseId"])
    return call.answer_list(call.all("database/AutonomousDatabaseBackup"))


@operation("database.ListBackups")
def list_backups(call):
    if not {"databaseId", "compartmentId"} & set(call.query):
        raise missing("compartmentId")
    return call.answer_list(call.all("database/Backup"))


@operation("database.ListDbNodes")
def list_nodes(call):
    if not {"dbSystemId", "vmClusterId"} & set(call.query):
        raise missing("dbSystemId")
    return call.answer_list(call.all("database/DbNode"))


@operation("database.ListDatabases")
def list_databases(call):
    return call.answer_list(call.all("database/Database"))


@operation("database.DbNodeAction")
def node_action(call):
    node = call.find("database/DbNode", call.params["dbNodeId"])
    action = call.query["action"]
    call.transition(node, ("STOPPED",) if action == "START"
                    else ("AVAILABLE",),
                    "STARTING" if action == "START" else "STOPPING",
                    "STOPPED" if action == "STOP" else "AVAILABLE")
    call.work("DbNodeAction", node)
    return call.answer(node)


@operation("database.ListDbVersions")
def list_versions(call):
    call.compartments()
    return [{"version": version, "isLatestForMajorVersion": latest,
             "supportsPdb": True, "isPreviewDbVersion": False,
             "isUpgradeSupported": True}
            for version, latest in (("19.24.0.0", True), ("19.23.0.0", False),
                                    ("23.5.0.24.07", True))]


@operation("database.ListDbSystemShapes")
def list_shapes(call):
    call.compartments()
    return [{"name": "VM.Standard.E4.Flex", "shape": "VM.Standard.E4.Flex",
             "shapeFamily": "VIRTUALMACHINE", "shapeType": "AMD",
             "availableCoreCount": 64, "minimumCoreCount": 1,
             "coreCountIncrement": 1}]


@operation("mysql.StartDbSystem", "mysql.StopDbSystem")
def mysql_action(call):
    system = call.find("mysql/DbSystem", call.params["dbSystemId"])
    start = call.op.name == "StartDbSystem"
    call.transition(system, ("INACTIVE",) if start else ("ACTIVE",),
                    "UPDATING", "ACTIVE" if start else "INACTIVE")
    call.work(call.op.name, system)
    return Response(202)


@operation("mysql.ListDbSystems")
def list_mysql(call):
    if "dbSystemId" in call.query and \
            call.query["dbSystemId"] not in call.table("mysql/DbSystem"):
        raise not_found()
    items = [s for s in call.all("mysql/DbSystem")
             if call.query.get("dbSystemId") in (None, s["id"])]
    return call.answer_list(items, ignore=("dbSystemId", "isUpToDate",
                                           "databaseManagement"))
