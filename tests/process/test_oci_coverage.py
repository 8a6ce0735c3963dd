"""Every tool of the stock packs is called by some test of this folder."""

import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
PACKS = HERE.parent.parent / "etc" / "tools"


def names():
    for path in sorted(PACKS.glob("*.json")):
        for tool in json.loads(path.read_text())["tools"]:
            yield tool["name"]
            yield from tool.get("aliases", [])


def test_every_tool_has_a_test():
    text = "".join(p.read_text() for p in sorted(HERE.glob("test_*.py"))
                   if p.name != pathlib.Path(__file__).name)
    missing = [name for name in names()
               if f'"{name}"' not in text and f"'{name}'" not in text]
    assert missing == []


CONTRACT = """
oci_ping oci_list_domains oci_search_tools oci_get_cache_stats
oci_compute_list_instances oci_compute_get_instance oci_compute_start_instance
oci_compute_stop_instance oci_compute_restart_instance oci_cost_get_summary
oci_cost_by_service oci_cost_by_compartment oci_cost_monthly_trend
oci_cost_detect_anomalies oci_database_list_autonomous
oci_database_get_autonomous oci_database_start_autonomous
oci_database_stop_autonomous oci_database_list_dbsystems
oci_database_get_metrics oci_database_list_backups oci_network_list_vcns
oci_network_get_vcn oci_network_list_subnets oci_network_list_security_lists
oci_network_analyze_security oci_security_list_users oci_security_get_user
oci_security_list_groups oci_security_list_policies
oci_security_list_cloud_guard_problems oci_security_audit
oci_observability_get_instance_metrics oci_observability_execute_log_query
oci_observability_list_alarms oci_observability_get_alarm_history
oci_observability_list_log_sources oci_observability_overview
oci_skill_troubleshoot_instance list_instances start_instance stop_instance
restart_instance get_instance_metrics
"""


def test_the_44_tools_of_the_contract_are_there():
    assert len(CONTRACT.split()) == 44
    assert set(CONTRACT.split()) <= set(names())
