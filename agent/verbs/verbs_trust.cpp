// Verbs about trust.
#include <utility>

#include "agent/claims.h"
#include "agent/exit_codes.h"
#include "agent/join.h"
#include "agent/peer_session.h"
#include "agent/verbs/verb_request.h"

namespace zoneferry {

Result<Json> serve_trust_init(const VerbRequest& request) {
    ZF_TRY_STATUS(request.context.trust.init(request.context.settings.name, request.context.clock.unix_ms()));
    request.trust_changed();
    return end_json(kExitOk, "host " + request.context.settings.name + " has an authority and a certificate",
                    "invite another host: zoneferry trust invite HOST");
}

Result<Json> serve_trust_invite(const VerbRequest& request) {
    std::vector<std::string> addresses;
    for (const std::string& address : request.context.settings.addresses) {
        addresses.push_back(join_address({address, request.context.settings.port}));
    }
    if (addresses.empty()) {
        return Error(Errc::not_found, "this host has no address that another one could reach")
            .remedy("set addresses = [\"...\"] in /etc/zoneferry/agent.toml");
    }
    ZF_TRY(const Invitation invitation,
           request.context.trust.invite(request.text("host"), addresses, static_cast<int>(request.number("ttl_s")),
                                        request.context.clock.unix_ms()));
    request.tell(Json{{"v", 1}, {"type", "text"}, {"text", invitation.text()}});
    return end_json(kExitOk, "valid once, for " + std::to_string(request.number("ttl_s") / 60) + " minutes",
                    "on " + request.text("host") + ": zoneferry trust join, and give it that line");
}

Result<Json> serve_trust_join(const VerbRequest& request) {
    ZF_TRY(const std::string inviter, join(request.context, request.text("invitation")));
    request.trust_changed();
    // A host whose state is older than its first join may have zones here that have moved away since.
    constexpr int kClaimsTimeoutMs = 5'000;
    ask_peers_for_claims(request.context, request.desk, kClaimsTimeoutMs);
    return end_json(kExitOk, "this host and " + inviter + " trust each other");
}

Result<Json> serve_trust_list(const VerbRequest& request) {
    ZF_TRY(const std::vector<Peer> peers, request.context.trust.peers());
    for (const Peer& peer : peers) {
        request.tell(Json{{"v", 1},
                          {"type", "peer"},
                          {"host", peer.host},
                          {"address", peer.address},
                          {"port", peer.port},
                          {"may_send", peer.may_send},
                          {"may_receive", peer.may_receive}});
    }
    return end_json(kExitOk, "");
}

Result<Json> serve_trust_remove(const VerbRequest& request) {
    ZF_TRY_STATUS(request.context.trust.remove_peer(request.text("host")));
    request.desk.cut(request.text("host"));  // what it is in the middle of ends here
    return end_json(kExitOk, request.text("host") + " is not trusted any more");
}

Result<Json> serve_trust_rights(const VerbRequest& request) {
    ZF_TRY(Peer peer, request.context.trust.peer(request.text("host")));
    if (const std::string send = request.text("send"); !send.empty()) peer.may_send = send == "yes";
    if (const std::string receive = request.text("receive"); !receive.empty()) peer.may_receive = receive == "yes";
    ZF_TRY_STATUS(request.context.trust.save_peer(peer));
    ZF_TRY_STATUS(request.context.journal.audit("", "",
                                                "rights of " + peer.host + ": send " + (peer.may_send ? "yes" : "no") +
                                                    ", receive " + (peer.may_receive ? "yes" : "no")));
    return end_json(kExitOk, peer.host + (peer.may_send ? " may" : " may not") + " send zones here and" +
                                 (peer.may_receive ? " may" : " may not") + " receive zones from here");
}

}  // namespace zoneferry
