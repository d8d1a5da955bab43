#include "certs/records.h"

#include <map>

#include "core/base/text.h"

namespace zoneferry {
namespace {

std::map<std::string, std::string> fields_of(const std::string& text) {
    std::map<std::string, std::string> fields;
    for (const std::string_view line : split(text, '\n')) {
        const std::size_t blank = line.find(' ');
        if (blank != std::string_view::npos) fields[std::string(line.substr(0, blank))] = line.substr(blank + 1);
    }
    return fields;
}

Error damaged(const std::string& what) { return Error(Errc::corrupt, what + " is damaged"); }

}  // namespace

std::string to_text(const InvitationRecord& record) {
    return "key " + to_hex(record.key) + "\nexpires " + std::to_string(record.expires_unix_s) + "\ntries " +
           std::to_string(record.tries) + "\n";
}

Result<InvitationRecord> invitation_record_from_text(const std::string& text) {
    std::map<std::string, std::string> fields = fields_of(text);
    InvitationRecord record;
    const Result<Digest> key = digest_from_hex(fields["key"]);
    const auto expires = parse_number<std::int64_t>(fields["expires"]);
    const auto tries = parse_number<unsigned>(fields["tries"]);
    if (!key || !expires || !tries) return damaged("the stored invitation");
    record.key = *key;
    record.expires_unix_s = *expires;
    record.tries = *tries;
    return record;
}

std::string to_text(const Peer& peer) {
    return "address " + peer.address + "\nport " + std::to_string(peer.port) + "\nmay_send " +
           (peer.may_send ? "yes" : "no") + "\nmay_receive " + (peer.may_receive ? "yes" : "no") + "\nfingerprint " +
           peer.fingerprint + "\n";
}

Result<Peer> peer_from_text(const std::string& host, const std::string& text) {
    std::map<std::string, std::string> fields = fields_of(text);
    Peer peer;
    peer.host = host;
    peer.address = fields["address"];
    peer.fingerprint = fields["fingerprint"];
    const auto port = parse_number<std::uint16_t>(fields["port"]);
    const auto is_answer = [](const std::string& word) { return word == "yes" || word == "no"; };
    if (!port || !is_answer(fields["may_send"]) || !is_answer(fields["may_receive"])) {
        return damaged("the record of peer " + host);
    }
    peer.port = *port;
    peer.may_send = fields["may_send"] == "yes";
    peer.may_receive = fields["may_receive"] == "yes";
    return peer;
}

}  // namespace zoneferry
