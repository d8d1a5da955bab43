#include "core/attach/attach.h"

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>

#include "core/attach/detach.h"
#include "core/attach/zone_tree.h"
#include "core/base/text.h"
#include "core/packages/inventory.h"
#include "core/zone/claim.h"
#include "core/zone/owner_record.h"
#include "core/zone/zonepath.h"

namespace zoneferry {
namespace {

Status check_state(const HostRoot& root, const ZoneEntry& entry) {
    const std::string zone = "zone " + entry.name.str();
    if (entry.state == ZoneState::incomplete) {
        return Error(Errc::conflict, zone + " is incomplete and cannot be attached")
            .remedy(incomplete_remedy(root, entry.name.str(), entry.zonepath));
    }
    if (entry.state != ZoneState::configured) {
        return Error(Errc::conflict, zone + " is already installed")
            .remedy("zoneadm -z " + entry.name.str() +
                    " boot; to attach another tree detach or uninstall this one first");
    }
    return {};
}

// A forced attach does without a manifest, and without one that it cannot read.
Result<std::optional<Manifest>> manifest_for(const HostRoot& root, const std::string& zonepath, bool force,
                                             std::vector<std::string>& notes) {
    auto manifest = read_manifest(root, zonepath);
    if (manifest) return std::optional<Manifest>(*std::move(manifest));
    const Errc code = manifest.error().code();
    if (!force || (code != Errc::not_found && code != Errc::invalid)) return std::move(manifest).error();
    notes.push_back("nothing is known about the host the zone was on: " + manifest.error().text());
    return std::optional<Manifest>();
}

Error refused(const std::vector<Finding>& findings) {
    std::vector<std::string> sentences;
    std::string remedy;
    for (const Finding& finding : findings) {
        if (finding.severity != Severity::block) continue;
        sentences.push_back(finding.message);
        if (remedy.empty()) remedy = finding.remedy;
    }
    return Error(Errc::blocked, join(sentences, "; ") + "; nothing was changed").remedy(remedy);
}

Finding make_finding(const char* code, Severity severity, const char* subject, const std::string& source,
                     const std::string& target, const std::string& message, const std::string& remedy) {
    Finding finding;
    finding.code = code;
    finding.severity = severity;
    finding.subject = subject;
    finding.source = printable(source);
    finding.target = printable(target);
    finding.message = message;
    finding.remedy = remedy;
    return finding;
}

bool differ(const std::string& source, const std::string& target) {
    return !source.empty() && !target.empty() && source != target;
}

}  // namespace

bool is_same_machine(std::string_view source, std::string_view target) {
    const auto is_sparc = [](std::string_view machine) { return machine == "sun4u" || machine == "sun4v"; };
    return source == target || (is_sparc(source) && is_sparc(target));
}

std::vector<Finding> host_findings(const Manifest& source, const Inventory& local, const HostFacts& local_facts) {
    std::vector<Finding> findings;
    const HostFacts& from = source.source;
    const auto block = [&](const char* code, const char* subject, const std::string& theirs, const std::string& ours,
                           const std::string& what, const std::string& remedy) {
        const std::string message = what + " of the source is " + printable(theirs) + ", here it is " + printable(ours);
        findings.push_back(make_finding(code, Severity::block, subject, theirs, ours, message, remedy));
    };
    if (!is_native_brand(source.config.brand)) {
        block("BRAND_UNSUPPORTED", "brand", source.config.brand, "native", "the zone's brand",
              "only zones of brand native (or cluster) can be attached");
    }
    if (!from.machine.empty() && !is_same_machine(from.machine, local_facts.machine)) {
        block("MACHINE_MISMATCH", "machine", from.machine, local_facts.machine, "the machine type",
              "choose a target with the same processor");
    }
    if (source.inventory.system != local.system) {
        block("PACKAGE_SYSTEM_MISMATCH", "package system", std::string(package_system_name(source.inventory.system)),
              std::string(package_system_name(local.system)), "the package system",
              "choose a target of the same kind of system");
    } else if (differ(from.package_architecture, local_facts.package_architecture)) {
        block("ARCHITECTURE_MISMATCH", "package architecture", from.package_architecture,
              local_facts.package_architecture, "the packages' architecture", "choose a target of that architecture");
    }
    if (differ(from.os_name, local_facts.os_name)) {
        findings.push_back(
            make_finding("OS_DIFFERS", Severity::info, "operating system", from.os_name, local_facts.os_name,
                         "the source runs " + printable(from.os_name) + ", this host " + printable(local_facts.os_name),
                         "nothing; what the zone depends on is compared package by package"));
    }
    for (const std::string& warning : local.warnings) {
        findings.push_back(make_finding("PACKAGE_STATE", Severity::warn, "packages", "", "", printable(warning),
                                        "bring the host's packages in order first"));
    }
    return findings;
}

std::vector<Finding> attach_findings(const Manifest& source, const Inventory& local, const HostFacts& local_facts) {
    std::vector<Finding> findings = host_findings(source, local, local_facts);
    if (source.inventory.system != local.system) return findings;
    std::vector<Finding> packages = differences_findings(compare(source.inventory, local), local.system);
    findings.insert(findings.end(), packages.begin(), packages.end());
    return findings;
}

Result<AttachCheck> check_attach(const HostRoot& root, const Manifest& manifest) {
    ZF_TRY(const Inventory local, take_inventory(root, dependency_scope(manifest.config)));
    ZF_TRY(const HostFacts facts, gather_host_facts(root));
    AttachCheck check;
    if (manifest.inventory.system == local.system) check.differences = compare(manifest.inventory, local);
    check.findings = attach_findings(manifest, local, facts);
    return check;
}

namespace {

// Differences of packages are not an Error but part of the outcome.
Status compare_hosts(const HostRoot& root, const ZoneConfig& config, const Manifest& manifest, AttachOutcome& outcome) {
    ZF_TRY(const Inventory local, take_inventory(root, dependency_scope(config)));
    ZF_TRY_STATUS(check_host_fits(root, manifest, local, outcome.notes));
    outcome.differences = compare(manifest.inventory, local);
    outcome.findings = differences_findings(outcome.differences, local.system);
    return {};
}

// For -F: only the brand forbids anything, the rest is told. A damaged package database is no hindrance.
Status compare_at_a_glance(const HostRoot& root, const Manifest& manifest, AttachOutcome& outcome) {
    const auto facts = gather_host_facts(root);
    if (!facts) outcome.notes.push_back("this host was not compared with the source: " + facts.error().text());
    Inventory local;
    local.system = manifest.inventory.system;
    std::vector<Finding> findings = host_findings(manifest, local, facts.value_or(HostFacts()));
    std::vector<Finding> of_brand;
    for (Finding& finding : findings) {
        if (finding.code == "BRAND_UNSUPPORTED")
            of_brand.push_back(std::move(finding));
        else if (facts)
            outcome.notes.push_back(finding.message);
    }
    if (is_blocked(of_brand)) return refused(of_brand);
    const std::string theirs(package_system_name(manifest.inventory.system));
    if (facts && !facts->package_system.empty() && facts->package_system != theirs)
        outcome.notes.push_back("the package system of the source is " + theirs + ", here it is " +
                                facts->package_system);
    return {};
}

// What of a configuration reaches into the host, and so was the source's administrator's to choose, not ours.
void add_reaching(const ZoneConfig& config, std::vector<std::string>& notes) {
    const auto add = [&](const std::string& text) { notes.push_back(text); };
    if (!config.limitpriv.empty()) add("limitpriv is set by the source: " + printable(config.limitpriv));
    for (const std::string& device : config.devices) add("the source gave the zone the device " + printable(device));
    for (const std::string& dataset : config.datasets)
        add("the source gave the zone the dataset " + printable(dataset));
    for (const NetResource& net : config.nets) {
        add("the zone will use " + (net.address.empty() ? std::string("no address") : printable(net.address)) + " on " +
            printable(net.physical) + " of this host (ip-type " + std::string(ip_type_name(config.ip_type)) + ")");
    }
    for (const FsResource& fs : config.filesystems)
        add("the zone will see " + printable(fs.special) + " of this host as " + printable(fs.directory));
    if (config.autoboot) add("autoboot is on: once attached, the zone boots with this host");
}

}  // namespace

void put_manifest_away(int zonepath, bool force, std::vector<std::string>& notes) {
    if (force) {
        if (::renameat(zonepath, kDetachedName, zonepath, kAttachedName) != 0 && errno != ENOENT) {
            notes.push_back(system_error(std::string("rename ") + kDetachedName, errno).text());
        }
    } else {
        for (const char* name : {kDetachedName, kAttachedName}) {
            if (::unlinkat(zonepath, name, 0) != 0 && errno != ENOENT) {
                notes.push_back(system_error(std::string("remove ") + name, errno).text());
            }
        }
    }
    (void)::fsync(zonepath);
}

Status check_host_fits(const HostRoot& root, const Manifest& manifest, const Inventory& local,
                       std::vector<std::string>& notes) {
    ZF_TRY(const HostFacts facts, gather_host_facts(root));
    const std::vector<Finding> findings = host_findings(manifest, local, facts);
    if (is_blocked(findings)) return refused(findings);
    for (const Finding& finding : findings) notes.push_back(finding.message);
    return {};
}

Result<AttachGround> check_attach_ground(const HostRoot& root, const ZoneName& name, bool force,
                                         std::vector<std::string>& notes) {
    AttachGround ground;
    const ZoneStore store(root);
    ZF_TRY(const ZoneEntry entry, store.find(name));
    ZF_TRY_STATUS(check_state(root, entry));
    ZF_TRY(ground.config, store.config(name));
    ZF_TRY_STATUS(verify_config(ground.config));
    ZF_TRY(ground.zonepath, open_zone_tree(root, ground.config.zonepath));
    ZF_TRY_STATUS(may_attach(root, name, ground.config.zonepath));
    ZF_TRY(ground.manifest, manifest_for(root, ground.config.zonepath, force, notes));
    if (ground.manifest && is_native_brand(ground.manifest->config.brand) != is_native_brand(ground.config.brand)) {
        return Error(Errc::blocked, "the zone's brand was " + printable(ground.manifest->config.brand) +
                                        ", it is configured as " + printable(ground.config.brand))
            .remedy("zonecfg -z " + name.str() + " set brand=" + printable(ground.manifest->config.brand));
    }
    return ground;
}

Status claim_tree(const HostRoot& root, const ZoneLock& lock, const ZoneConfig& config, AttachOptions& options) {
    if (options.uuid.empty()) {
        ZF_TRY(const std::optional<OwnerRecord> record, OwnerStore(root).load(lock.name(), config.zonepath));
        if (record) options.uuid = record->zone_uuid;
    }
    if (options.host.empty()) {
        ZF_TRY(options.host, host_name());
    }
    return claim_by_hand(root, lock, config.zonepath, options.host);
}

Result<AttachOutcome> attach_zone(const HostRoot& root, const ZoneLock& lock, const ZoneName& name,
                                  const AttachOptions& wish) {
    AttachOptions options = wish;
    ZF_CHECK(lock.name() == name);
    AttachOutcome outcome;
    ZF_TRY(const AttachGround ground, check_attach_ground(root, name, options.force, outcome.notes));
    if (ground.manifest) {
        ZF_TRY_STATUS(options.force ? compare_at_a_glance(root, *ground.manifest, outcome)
                                    : compare_hosts(root, ground.config, *ground.manifest, outcome));
        if (!outcome.differences.empty()) return outcome;
    }
    ZF_TRY_STATUS(claim_tree(root, lock, ground.config, options));
    const auto uuid = options.uuid.empty() ? std::nullopt : std::optional<std::string>(options.uuid);
    ZF_TRY_STATUS(ZoneStore(root).change_state(lock, ZoneState::configured, ZoneState::installed, uuid));
    outcome.attached = true;
    put_manifest_away(ground.zonepath.get(), options.force, outcome.notes);
    return outcome;
}

Result<ZoneConfig> config_from_detached(const HostRoot& root, const std::string& zonepath, const ZoneName& name,
                                        std::vector<std::string>& notes) {
    ZF_TRY(Manifest manifest, read_manifest(root, zonepath));
    ZoneConfig config = std::move(manifest.config);
    const std::string source_name = config.name;
    const std::string source_path = config.zonepath;
    config.name = name.str();
    config.zonepath = zonepath;
    ZF_TRY_STATUS(verify_config(config));
    if (source_name != name.str()) notes.push_back("at the source the zone was named " + printable(source_name));
    if (source_path != zonepath) notes.push_back("at the source its zonepath was " + printable(source_path));
    add_reaching(config, notes);
    return config;
}

}  // namespace zoneferry
