// One message of every kind with every field set, so that a field lost on the way shows.
#pragma once

#include <vector>

#include "wire/messages.h"

namespace zoneferry {

namespace sample {

inline ByteVector proof() { return ByteVector(32, std::byte{0x5a}); }

inline HostFacts host_facts() {
    HostFacts facts;
    facts.host = "host1";
    facts.host_id = "0123456789abcdef0123456789abcdef";
    facts.machine = "x86_64";
    facts.package_system = "dpkg";
    facts.package_architecture = "amd64";
    facts.kernel_release = "6.1.0-18-amd64";
    facts.os_name = "Debian GNU/Linux 12 (bookworm)";
    facts.runtime = "systemd-nspawn 252";
    return facts;
}

inline std::vector<Finding> findings() {
    Finding first;
    first.code = "PKG_VERSION_MISMATCH";
    first.side = Side::source;
    first.severity = Severity::block;
    first.subject = "libc6";
    first.source = "2.36-9";
    first.target = "2.36-10";
    first.message = "libc6 version mismatch";
    first.remedy = "apt-get install libc6=2.36-9";
    Finding second = first;
    second.side = Side::target;
    second.severity = Severity::warn;
    Finding third = first;
    third.severity = Severity::info;
    return {first, second, third};
}

}  // namespace sample

inline std::vector<Message> sample_messages() {
    std::vector<Message> all;
    Hello hello;
    hello.protocol_min = 1;
    hello.protocol_max = 7;
    hello.features = {"segments-zstd", "x"};
    hello.host = "host1";
    hello.host_id = "id1";
    hello.version = "0.1.0";
    hello.clock_unix_ms = 1'795'000'000'000;
    hello.listen_port = 7743;
    hello.run_id = "run1";
    all.emplace_back(hello);
    HelloAck hello_ack;
    hello_ack.protocol = 1;
    hello_ack.features = {"segments-zstd"};
    hello_ack.host = "host2";
    hello_ack.host_id = "id2";
    hello_ack.version = "0.1.1";
    hello_ack.clock_unix_ms = -5;
    hello_ack.run_id = "run2";
    all.emplace_back(hello_ack);
    CheckRequest check;
    check.move_id = "m1";
    check.manifest = "<zone name=\"web01\"/>";
    check.source = sample::host_facts();
    check.tree_bytes = 1ULL << 40U;
    check.tree_entries = 12345;
    check.force = true;
    check.return_of = "m0";
    all.emplace_back(check);
    CheckReply check_reply;
    check_reply.target = sample::host_facts();
    check_reply.findings = sample::findings();
    all.emplace_back(check_reply);
    PrepareRequest prepare;
    prepare.move_id = "m1";
    prepare.zone = "web01";
    prepare.zone_uuid = "uuid";
    prepare.epoch = 4;
    prepare.manifest = "<zone/>";
    prepare.source = sample::host_facts();
    prepare.tree_bytes = 77;
    prepare.tree_entries = 78;
    prepare.was_running = true;
    prepare.force = true;
    prepare.return_of = "m0";
    prepare.use_kept_copy = true;
    prepare.probe = "tcp:80";
    prepare.probe_limit_ms = 30'000;
    all.emplace_back(prepare);
    PrepareReply prepare_reply;
    prepare_reply.staging_is_fresh = true;
    prepare_reply.has_copy = true;
    all.emplace_back(prepare_reply);
    PassBegin pass_begin;
    pass_begin.move_id = "m1";
    pass_begin.pass = 3;
    pass_begin.is_final = true;
    all.emplace_back(pass_begin);
    PassReady pass_ready;
    pass_ready.pass = 3;
    all.emplace_back(pass_ready);
    Segment segment;
    segment.pass = 3;
    segment.number = 1ULL << 33U;
    segment.raw_bytes = 4096;
    segment.encoding = 1;
    segment.payload = sample::proof();
    all.emplace_back(segment);
    SegmentAck segment_ack;
    segment_ack.pass = 3;
    segment_ack.durable_count = 9;
    all.emplace_back(segment_ack);
    PassEnd pass_end;
    pass_end.pass = 3;
    pass_end.segments = 10;
    all.emplace_back(pass_end);
    PassDone pass_done;
    pass_done.pass = 3;
    all.emplace_back(pass_done);
    VerifyRequest verify;
    verify.move_id = "m1";
    verify.metadata_only = true;
    verify.wants_list = true;
    all.emplace_back(verify);
    VerifyReply verify_reply;
    verify_reply.digest.fill(std::byte{0xd1});
    verify_reply.entries = 5;
    verify_reply.bytes = 6;
    verify_reply.list_part = sample::proof();
    verify_reply.is_list_part = true;
    all.emplace_back(verify_reply);
    StageRequest stage;
    stage.move_id = "m1";
    stage.manifest = "<zone/>";
    all.emplace_back(stage);
    StageReply stage_reply;
    stage_reply.ready = true;
    stage_reply.findings = sample::findings();
    all.emplace_back(stage_reply);
    Grant grant;
    grant.move_id = "m1";
    grant.epoch = 5;
    grant.boot = true;
    all.emplace_back(grant);
    Owned owned;
    owned.epoch = 5;
    all.emplace_back(owned);
    Activated activated;
    activated.attached = true;
    activated.running = true;
    activated.problem = "none really";
    activated.attach_ms = 10;
    activated.boot_ms = 20;
    all.emplace_back(activated);
    StatusRequest status;
    status.move_id = "m1";
    all.emplace_back(status);
    StatusReply status_reply;
    status_reply.known = true;
    status_reply.phase = "stage";
    status_reply.epoch = 5;
    status_reply.owned = true;
    status_reply.attached = true;
    status_reply.running = true;
    status_reply.problem = "p";
    status_reply.probed = 2;
    all.emplace_back(status_reply);
    AbortRequest abort_request;
    abort_request.move_id = "m1";
    abort_request.reason = "asked to";
    all.emplace_back(abort_request);
    all.emplace_back(AbortReply());
    FinalizeRequest finalize;
    finalize.move_id = "m1";
    all.emplace_back(finalize);
    all.emplace_back(FinalizeReply());
    ReturnRequest return_request;
    return_request.move_id = "m1";
    return_request.use_kept_copy = true;
    all.emplace_back(return_request);
    ReturnReply return_reply;
    return_reply.move_id = "m2";
    all.emplace_back(return_reply);
    OwnersRequest owners;
    OwnerClaim claim;
    claim.zone = "web01";
    claim.zone_uuid = "uuid";
    claim.epoch = 7;
    claim.held = true;
    owners.claims = {claim, OwnerClaim()};
    all.emplace_back(owners);
    OwnersReply owners_reply;
    owners_reply.claims = {claim};
    all.emplace_back(owners_reply);
    HistoryRequest history;
    history.move_id = "m1";
    all.emplace_back(history);
    HistoryReply history_reply;
    history_reply.known = true;
    history_reply.phase = "owned";
    history_reply.problem = "p";
    PastEvent past;
    past.at_unix_ms = 1'763'760'000'000;
    past.kind = "owned";
    past.text = "t";
    past.number = -1;
    past.extra = 9;
    history_reply.events = {past, PastEvent()};
    all.emplace_back(history_reply);
    PushRequest push;
    push.push_id = "ab12";
    push.zone = "web01";
    push.tree_bytes = 5;
    push.tree_entries = 6;
    all.emplace_back(push);
    all.emplace_back(PushReply());
    PushInstall push_install;
    push_install.push_id = "ab12";
    push_install.unconfigure = true;
    push_install.delete_containers = true;
    all.emplace_back(push_install);
    PushInstalled push_installed;
    push_installed.installed = true;
    push_installed.problem = "p";
    push_installed.remedy = "r";
    push_installed.findings = sample::findings();
    push_installed.warnings = {"w1", "w2"};
    push_installed.files = 7;
    push_installed.packages_updated = 8;
    push_installed.adjustments = 9;
    push_installed.log = "/var/log/x";
    all.emplace_back(push_installed);
    JoinRequest join;
    join.host = "host2";
    join.listen_port = 7743;
    join.certificate_request = "PEM";
    join.proof = sample::proof();
    all.emplace_back(join);
    JoinReply join_reply;
    join_reply.host = "host1";
    join_reply.certificate = "PEM1";
    join_reply.authority = "PEM2";
    join_reply.proof = sample::proof();
    all.emplace_back(join_reply);
    all.emplace_back(Refusal(Error(Errc::busy, "the zone is locked").remedy("wait")));
    return all;
}

}  // namespace zoneferry
