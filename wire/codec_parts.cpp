#include "wire/codec_parts.h"

namespace zoneferry {
namespace {

schema::Severity schema_severity(Severity severity) {
    switch (severity) {
        case Severity::info: return schema::Severity::INFO;
        case Severity::warn: return schema::Severity::WARN;
        case Severity::block: return schema::Severity::BLOCK;
    }
    return schema::Severity::UNSET;
}
Severity read_severity(Checker& check, schema::Severity severity) {
    switch (severity) {
        case schema::Severity::INFO: return Severity::info;
        case schema::Severity::WARN: return Severity::warn;
        case schema::Severity::BLOCK: return Severity::block;
        case schema::Severity::UNSET: break;
    }
    check.complain(Errc::unsupported, "a finding has a severity that this version does not know");
    return Severity::block;
}
Side read_side(Checker& check, schema::Side side) {
    switch (side) {
        case schema::Side::SOURCE: return Side::source;
        case schema::Side::TARGET: return Side::target;
        case schema::Side::UNSET: break;
    }
    check.complain(Errc::unsupported, "a finding has a side that this version does not know");
    return Side::target;
}

void write(Checker& check, schema::Finding::Builder to, const Finding& from) {
    to.setCode(check.text(from.code, kWireNameBytesMax, "code"));
    to.setSide(from.side == Side::source ? schema::Side::SOURCE : schema::Side::TARGET);
    to.setSeverity(schema_severity(from.severity));
    to.setSubject(check.text(from.subject, kSentenceBytesMax, "subject"));
    to.setSource(check.text(from.source, kSentenceBytesMax, "source"));
    to.setTarget(check.text(from.target, kSentenceBytesMax, "target"));
    to.setMessage(check.text(from.message, kSentenceBytesMax, "message"));
    to.setRemedy(check.text(from.remedy, kSentenceBytesMax, "remedy"));
}
void read(Checker& check, schema::Finding::Reader from, Finding& to) {
    to.code = check.text(from.getCode(), kWireNameBytesMax, "code");
    to.side = read_side(check, from.getSide());
    to.severity = read_severity(check, from.getSeverity());
    to.subject = check.text(from.getSubject(), kSentenceBytesMax, "subject");
    to.source = check.text(from.getSource(), kSentenceBytesMax, "source");
    to.target = check.text(from.getTarget(), kSentenceBytesMax, "target");
    to.message = check.text(from.getMessage(), kSentenceBytesMax, "message");
    to.remedy = check.text(from.getRemedy(), kSentenceBytesMax, "remedy");
}

}  // namespace

capnp::Data::Reader data_of(const Digest& digest) {
    return {reinterpret_cast<const capnp::byte*>(digest.data()), digest.size()};
}

Errc errc_of(std::uint16_t number) {
    return number > static_cast<std::uint16_t>(Errc::doubled) ? Errc::unknown : static_cast<Errc>(number);
}

void write(Checker& check, schema::HostFacts::Builder to, const HostFacts& from) {
    to.setHost(check.text(from.host, kWireNameBytesMax, "host"));
    to.setHostId(check.text(from.host_id, kWireNameBytesMax, "host_id"));
    to.setMachine(check.text(from.machine, kWireNameBytesMax, "machine"));
    to.setPackageSystem(check.text(from.package_system, kWireNameBytesMax, "package_system"));
    to.setPackageArchitecture(check.text(from.package_architecture, kWireNameBytesMax, "package_architecture"));
    to.setKernelRelease(check.text(from.kernel_release, kWireNameBytesMax, "kernel_release"));
    to.setOsName(check.text(from.os_name, kWireNameBytesMax, "os_name"));
    to.setRuntime(check.text(from.runtime, kWireNameBytesMax, "runtime"));
}
void read(Checker& check, schema::HostFacts::Reader from, HostFacts& to) {
    to.host = check.text(from.getHost(), kWireNameBytesMax, "host");
    to.host_id = check.text(from.getHostId(), kWireNameBytesMax, "host_id");
    to.machine = check.text(from.getMachine(), kWireNameBytesMax, "machine");
    to.package_system = check.text(from.getPackageSystem(), kWireNameBytesMax, "package_system");
    to.package_architecture = check.text(from.getPackageArchitecture(), kWireNameBytesMax, "package_architecture");
    to.kernel_release = check.text(from.getKernelRelease(), kWireNameBytesMax, "kernel_release");
    to.os_name = check.text(from.getOsName(), kWireNameBytesMax, "os_name");
    to.runtime = check.text(from.getRuntime(), kWireNameBytesMax, "runtime");
}

void write_names(Checker& check, capnp::List<capnp::Text>::Builder to, const std::vector<std::string>& from) {
    for (unsigned i = 0; i < to.size(); ++i) to.set(i, check.text(from[i], kWireNameBytesMax, "features"));
}
void read_names(Checker& check, capnp::List<capnp::Text>::Reader from, std::vector<std::string>& to) {
    const unsigned count = check.count(from.size(), kFeaturesMax, "features");
    for (unsigned i = 0; i < count; ++i) to.push_back(check.text(from[i], kWireNameBytesMax, "features"));
}

void write_findings(Checker& check, capnp::List<schema::Finding>::Builder to, const std::vector<Finding>& from) {
    for (unsigned i = 0; i < to.size(); ++i) write(check, to[i], from[i]);
}
void read_findings(Checker& check, capnp::List<schema::Finding>::Reader from, std::vector<Finding>& to) {
    const unsigned count = check.count(from.size(), kFindingsMax, "findings");
    for (unsigned i = 0; i < count && !check.error(); ++i) read(check, from[i], to.emplace_back());
}

void read_extra_trees(Checker& check, capnp::List<schema::ExtraTree>::Reader from, std::vector<ExtraTree>& to) {
    const unsigned count = check.count(from.size(), kExtraTreesMax, "extra_trees");
    for (unsigned i = 0; i < count && !check.error(); ++i) {
        to.emplace_back(check.text(from[i].getPath(), kSentenceBytesMax, "path"), from[i].getBytes(),
                        from[i].getEntries());
    }
}
void write_travelling(Checker& check, schema::CheckReply::Builder to, const std::vector<std::string>& from) {
    auto paths = to.initTravelling(check.count(from.size(), kExtraTreesMax, "travelling"));
    for (unsigned i = 0; i < paths.size(); ++i) paths.set(i, check.text(from[i], kSentenceBytesMax, "travelling"));
}
void read_travelling(Checker& check, schema::CheckReply::Reader from, std::vector<std::string>& to) {
    const unsigned count = check.count(from.getTravelling().size(), kExtraTreesMax, "travelling");
    for (unsigned i = 0; i < count && !check.error(); ++i) {
        to.push_back(check.text(from.getTravelling()[i], kSentenceBytesMax, "travelling"));
    }
}

// --- messages that are no step of a move --------------------------------------------------------------------

void write(Checker& check, schema::JoinRequest::Builder to, const JoinRequest& from) {
    to.setHost(check.text(from.host, kWireNameBytesMax, "host"));
    to.setListenPort(from.listen_port);
    to.setCertificateRequest(check.text(from.certificate_request, kPemBytesMax, "certificate_request"));
    to.setProof(check.data(from.proof, kProofBytesMax, "proof"));
}
void write(Checker& check, schema::JoinReply::Builder to, const JoinReply& from) {
    to.setHost(check.text(from.host, kWireNameBytesMax, "host"));
    to.setCertificate(check.text(from.certificate, kPemBytesMax, "certificate"));
    to.setAuthority(check.text(from.authority, kPemBytesMax, "authority"));
    to.setProof(check.data(from.proof, kProofBytesMax, "proof"));
}
void write(Checker& check, schema::Refusal::Builder to, const Refusal& from) {
    to.setCode(static_cast<std::uint16_t>(from.code));
    to.setSentence(check.text(from.sentence, kSentenceBytesMax, "sentence"));
    to.setRemedy(check.text(from.remedy, kSentenceBytesMax, "remedy"));
}
void read(Checker& check, schema::JoinRequest::Reader from, JoinRequest& to) {
    to.host = check.text(from.getHost(), kWireNameBytesMax, "host");
    to.listen_port = from.getListenPort();
    to.certificate_request = check.text(from.getCertificateRequest(), kPemBytesMax, "certificate_request");
    to.proof = check.data(from.getProof(), kProofBytesMax, "proof");
}
void read(Checker& check, schema::JoinReply::Reader from, JoinReply& to) {
    to.host = check.text(from.getHost(), kWireNameBytesMax, "host");
    to.certificate = check.text(from.getCertificate(), kPemBytesMax, "certificate");
    to.authority = check.text(from.getAuthority(), kPemBytesMax, "authority");
    to.proof = check.data(from.getProof(), kProofBytesMax, "proof");
}
void read(Checker& check, schema::Refusal::Reader from, Refusal& to) {
    to.code = errc_of(from.getCode());
    to.sentence = check.text(from.getSentence(), kSentenceBytesMax, "sentence");
    to.remedy = check.text(from.getRemedy(), kSentenceBytesMax, "remedy");
}

namespace {

void write_claims(Checker& check, capnp::List<schema::OwnerClaim>::Builder to, const std::vector<OwnerClaim>& from) {
    for (unsigned i = 0; i < to.size(); ++i) {
        to[i].setZone(check.text(from[i].zone, kWireNameBytesMax, "zone"));
        to[i].setZoneUuid(check.text(from[i].zone_uuid, kWireNameBytesMax, "zone_uuid"));
        to[i].setEpoch(from[i].epoch);
        to[i].setHeld(from[i].held);
    }
}
void read_claims(Checker& check, capnp::List<schema::OwnerClaim>::Reader from, std::vector<OwnerClaim>& to) {
    const unsigned count = check.count(from.size(), kClaimsMax, "claims");
    for (unsigned i = 0; i < count && !check.error(); ++i) {
        OwnerClaim& claim = to.emplace_back();
        claim.zone = check.text(from[i].getZone(), kWireNameBytesMax, "zone");
        claim.zone_uuid = check.text(from[i].getZoneUuid(), kWireNameBytesMax, "zone_uuid");
        claim.epoch = check.epoch(from[i].getEpoch());
        claim.held = from[i].getHeld();
    }
}

}  // namespace

void write(Checker& check, schema::OwnersRequest::Builder to, const OwnersRequest& from) {
    write_claims(check, to.initClaims(check.count(from.claims.size(), kClaimsMax, "claims")), from.claims);
}
void read(Checker& check, schema::OwnersRequest::Reader from, OwnersRequest& to) {
    read_claims(check, from.getClaims(), to.claims);
}
void write(Checker& check, schema::OwnersReply::Builder to, const OwnersReply& from) {
    write_claims(check, to.initClaims(check.count(from.claims.size(), kClaimsMax, "claims")), from.claims);
}
void read(Checker& check, schema::OwnersReply::Reader from, OwnersReply& to) {
    read_claims(check, from.getClaims(), to.claims);
}
void write(Checker& check, schema::HistoryRequest::Builder to, const HistoryRequest& from) {
    to.setMoveId(check.text(from.move_id, kWireNameBytesMax, "move_id"));
}
void read(Checker& check, schema::HistoryRequest::Reader from, HistoryRequest& to) {
    to.move_id = check.text(from.getMoveId(), kWireNameBytesMax, "move_id");
}
void write(Checker& check, schema::HistoryReply::Builder to, const HistoryReply& from) {
    to.setKnown(from.known);
    to.setPhase(check.text(from.phase, kWireNameBytesMax, "phase"));
    to.setProblem(check.text(from.problem, kSentenceBytesMax, "problem"));
    auto events = to.initEvents(check.count(from.events.size(), kPastEventsMax, "events"));
    for (unsigned i = 0; i < events.size(); ++i) {
        auto event = events[i];
        event.setAtUnixMs(from.events[i].at_unix_ms);
        event.setKind(check.text(from.events[i].kind, kWireNameBytesMax, "kind"));
        event.setText(check.text(from.events[i].text, kSentenceBytesMax, "text"));
        event.setNumber(from.events[i].number);
        event.setExtra(from.events[i].extra);
    }
}
void read(Checker& check, schema::HistoryReply::Reader from, HistoryReply& to) {
    to.known = from.getKnown();
    to.phase = check.text(from.getPhase(), kWireNameBytesMax, "phase");
    to.problem = check.text(from.getProblem(), kSentenceBytesMax, "problem");
    const unsigned count = check.count(from.getEvents().size(), kPastEventsMax, "events");
    for (unsigned i = 0; i < count && !check.error(); ++i) {
        const auto event = from.getEvents()[i];
        PastEvent& past = to.events.emplace_back();
        past.at_unix_ms = event.getAtUnixMs();
        past.kind = check.text(event.getKind(), kWireNameBytesMax, "kind");
        past.text = check.text(event.getText(), kSentenceBytesMax, "text");
        past.number = event.getNumber();
        past.extra = event.getExtra();
    }
}

void write(Checker& check, schema::PrepareReply::Builder to, const PrepareReply& from) {
    to.setStagingIsFresh(from.staging_is_fresh);
    to.setHasCopy(from.has_copy);
    const unsigned count = check.count(from.transports.size(), kFeaturesMax, "transports");
    write_names(check, to.initTransports(count), from.transports);
}
void read(Checker& check, schema::PrepareReply::Reader from, PrepareReply& to) {
    to.staging_is_fresh = from.getStagingIsFresh();
    to.has_copy = from.getHasCopy();
    read_names(check, from.getTransports(), to.transports);
}
void write(Checker& check, schema::VerifyRequest::Builder to, const VerifyRequest& from) {
    to.setMoveId(check.text(from.move_id, kWireNameBytesMax, "move_id"));
    to.setMetadataOnly(from.metadata_only);
    to.setWantsList(from.wants_list);
    to.setTree(from.tree);
    to.setKey(check.data(from.key, sizeof(Digest), "key"));
    to.setFollows(from.follows);
}

void read(Checker& check, schema::VerifyRequest::Reader from, VerifyRequest& to) {
    to.move_id = check.text(from.getMoveId(), kWireNameBytesMax, "move_id");
    to.metadata_only = from.getMetadataOnly();
    to.wants_list = from.getWantsList();
    to.tree = from.getTree();
    to.key = check.data(from.getKey(), sizeof(Digest), "key");
    to.follows = from.getFollows();
}

void write(Checker& check, schema::BlocksRequest::Builder to, const BlocksRequest& from) {
    to.setMoveId(check.text(from.move_id, kWireNameBytesMax, "move_id"));
    to.setKey(check.data(from.key, kBlockKeyBytesMax, "key"));
    to.setTree(from.tree);
    auto files = to.initFiles(check.count(from.files.size(), kBlockFilesMax, "files"));
    for (unsigned i = 0; i < files.size(); ++i) {
        files[i].setPath(check.text(from.files[i].path, kSentenceBytesMax, "path"));
        files[i].setBlockLog(from.files[i].block_log);
    }
}
void read(Checker& check, schema::BlocksRequest::Reader from, BlocksRequest& to) {
    to.move_id = check.text(from.getMoveId(), kWireNameBytesMax, "move_id");
    to.key = check.data(from.getKey(), kBlockKeyBytesMax, "key");
    to.tree = from.getTree();
    const unsigned count = check.count(from.getFiles().size(), kBlockFilesMax, "files");
    for (unsigned i = 0; i < count && !check.error(); ++i) {
        const auto file = from.getFiles()[i];
        BlocksOfFile& wanted = to.files.emplace_back();
        wanted.path = check.text(file.getPath(), kSentenceBytesMax, "path");
        wanted.block_log = file.getBlockLog();
    }
}
void write(Checker& check, schema::BlocksReply::Builder to, const BlocksReply& from) {
    to.setHashes(check.data(from.hashes, kListPartBytesMax, "hashes"));
    to.setEndsFile(from.ends_file);
}
void read(Checker& check, schema::BlocksReply::Reader from, BlocksReply& to) {
    to.hashes = check.data(from.getHashes(), kListPartBytesMax, "hashes");
    to.ends_file = from.getEndsFile();
}

void write(Checker& check, schema::PushRequest::Builder to, const PushRequest& from) {
    to.setPushId(check.text(from.push_id, kWireNameBytesMax, "push_id"));
    to.setZone(check.text(from.zone, kWireNameBytesMax, "zone"));
    to.setTreeBytes(from.tree_bytes);
    to.setTreeEntries(from.tree_entries);
}
void read(Checker& check, schema::PushRequest::Reader from, PushRequest& to) {
    to.push_id = check.text(from.getPushId(), kWireNameBytesMax, "push_id");
    to.zone = check.text(from.getZone(), kWireNameBytesMax, "zone");
    to.tree_bytes = from.getTreeBytes();
    to.tree_entries = from.getTreeEntries();
}
void write(Checker&, schema::PushReply::Builder to, const PushReply& from) {
    to.setStagingIsFresh(from.staging_is_fresh);
}
void read(Checker&, schema::PushReply::Reader from, PushReply& to) { to.staging_is_fresh = from.getStagingIsFresh(); }
void write(Checker& check, schema::PushInstall::Builder to, const PushInstall& from) {
    to.setPushId(check.text(from.push_id, kWireNameBytesMax, "push_id"));
    to.setUnconfigure(from.unconfigure);
    to.setDeleteContainers(from.delete_containers);
}
void read(Checker& check, schema::PushInstall::Reader from, PushInstall& to) {
    to.push_id = check.text(from.getPushId(), kWireNameBytesMax, "push_id");
    to.unconfigure = from.getUnconfigure();
    to.delete_containers = from.getDeleteContainers();
}
void write(Checker& check, schema::PushInstalled::Builder to, const PushInstalled& from) {
    to.setInstalled(from.installed);
    to.setProblem(check.text(from.problem, kSentenceBytesMax, "problem"));
    to.setRemedy(check.text(from.remedy, kSentenceBytesMax, "remedy"));
    write_findings(check, to.initFindings(check.count(from.findings.size(), kFindingsMax, "findings")), from.findings);
    auto warnings = to.initWarnings(check.count(from.warnings.size(), kPushWarningsMax, "warnings"));
    for (unsigned i = 0; i < warnings.size(); ++i)
        warnings.set(i, check.text(from.warnings[i], kSentenceBytesMax, "warning"));
    to.setFiles(from.files);
    to.setPackagesUpdated(from.packages_updated);
    to.setAdjustments(from.adjustments);
    to.setLog(check.text(from.log, kSentenceBytesMax, "log"));
}
void read(Checker& check, schema::PushInstalled::Reader from, PushInstalled& to) {
    to.installed = from.getInstalled();
    to.problem = check.text(from.getProblem(), kSentenceBytesMax, "problem");
    to.remedy = check.text(from.getRemedy(), kSentenceBytesMax, "remedy");
    read_findings(check, from.getFindings(), to.findings);
    const unsigned count = check.count(from.getWarnings().size(), kPushWarningsMax, "warnings");
    for (unsigned i = 0; i < count && !check.error(); ++i)
        to.warnings.push_back(check.text(from.getWarnings()[i], kSentenceBytesMax, "warning"));
    to.files = from.getFiles();
    to.packages_updated = from.getPackagesUpdated();
    to.adjustments = from.getAdjustments();
    to.log = check.text(from.getLog(), kSentenceBytesMax, "log");
}
void write(Checker& check, schema::ReturnRequest::Builder to, const ReturnRequest& from) {
    to.setUseKeptCopy(from.use_kept_copy);
    to.setMoveId(check.text(from.move_id, kWireNameBytesMax, "move_id"));
}
void write(Checker& check, schema::ReturnReply::Builder to, const ReturnReply& from) {
    to.setMoveId(check.text(from.move_id, kWireNameBytesMax, "move_id"));
}
void read(Checker& check, schema::ReturnRequest::Reader from, ReturnRequest& to) {
    to.use_kept_copy = from.getUseKeptCopy();
    to.move_id = check.text(from.getMoveId(), kWireNameBytesMax, "move_id");
}
void read(Checker& check, schema::ReturnReply::Reader from, ReturnReply& to) {
    to.move_id = check.text(from.getMoveId(), kWireNameBytesMax, "move_id");
}

}  // namespace zoneferry
