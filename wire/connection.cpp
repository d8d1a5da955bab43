#include "wire/connection.h"

#include "wire/codec.h"
#include "wire/link.h"

namespace zoneferry {
namespace {

bool belongs_to_join(const Message& message) {
    return std::holds_alternative<JoinRequest>(message) || std::holds_alternative<JoinReply>(message) ||
           std::holds_alternative<Refusal>(message);
}

// A join connection carries the join, and a mutual one everything but it.
Status check_place(const Message& message, bool is_join) {
    if (std::holds_alternative<Refusal>(message) || belongs_to_join(message) == is_join) return {};
    return Error(Errc::protocol, std::string(message_name(message)) + " is not allowed on a " +
                                     (is_join ? "join" : "peer") + " connection");
}

}  // namespace

Connection::~Connection() { close(); }

Status Connection::send(Message message) {
    ZF_TRY_STATUS(check_place(message, is_join()));
    if (auto* segment = std::get_if<Segment>(&message)) {
        auto head = encode_segment_head(*segment);
        if (!head) return std::move(head).error().during("sending Segment");
        return link_->send({*std::move(head), std::move(segment->payload)});
    }
    ZF_TRY(ByteVector frame, encode_frame(message));
    return link_->send({std::move(frame), {}});
}

Result<Message> Connection::receive(int timeout_ms) {
    ZF_TRY(Frame frame, link_->receive(timeout_ms));
    Result<Message> message = decode_frame(std::move(frame));
    Status judged = message ? check_place(*message, is_join()) : Status(message.error());
    if (judged) return message;
    if (judged.error().code() != Errc::unsupported) link_->reject(judged.error());
    return std::move(judged).error();
}

void Connection::close() { link_->close(Error(Errc::cancelled, "the connection was closed on this side")); }

std::optional<LinkUse> Connection::use() const { return link_->use(); }

WindowBytes Connection::window() const { return link_->window(); }

const PeerIdentity& Connection::peer() const { return link_->peer(); }
bool Connection::is_join() const { return link_->is_join(); }
ByteVector Connection::exporter(std::string_view label) const { return derive_exporter(link_->exporter(), label); }

}  // namespace zoneferry
