// The codec's inside: the check on every field, and the parts that several messages share. Only codec*.cpp include
// this: it sees the generated Cap'n Proto code.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "wire/limits.h"
#include "wire/messages.h"
#include "wire/zone_move.capnp.h"

namespace zoneferry {

// Measures every field on its way in or out and keeps the first complaint.
class Checker {
public:
    explicit Checker(Errc code) : code_(code) {}

    std::string text(capnp::Text::Reader from, std::size_t bytes_max, const char* field) {
        if (!fits(from.size(), bytes_max, field, "bytes")) return {};
        return {from.begin(), from.size()};
    }
    capnp::Text::Reader text(const std::string& from, std::size_t bytes_max, const char* field) {
        if (!fits(from.size(), bytes_max, field, "bytes")) return {};
        return {from.c_str(), from.size()};
    }
    ByteVector data(capnp::Data::Reader from, std::size_t bytes_max, const char* field) {
        if (!fits(from.size(), bytes_max, field, "bytes")) return {};
        const ConstBytes bytes = std::as_bytes(std::span(from.begin(), from.size()));
        return {bytes.begin(), bytes.end()};
    }
    capnp::Data::Reader data(const ByteVector& from, std::size_t bytes_max, const char* field) {
        if (!fits(from.size(), bytes_max, field, "bytes")) return {};
        return {reinterpret_cast<const capnp::byte*>(from.data()), from.size()};
    }
    Digest digest(capnp::Data::Reader from) {
        Digest digest{};
        if (from.size() != digest.size()) {
            complain(code_, "a digest of " + std::to_string(from.size()) + " bytes");
            return digest;
        }
        const ConstBytes bytes = std::as_bytes(std::span(from.begin(), from.size()));
        std::copy(bytes.begin(), bytes.end(), digest.begin());
        return digest;
    }
    // The count if it is allowed, else 0.
    unsigned count(std::size_t size, std::size_t count_max, const char* field) {
        return fits(size, count_max, field, "entries") ? static_cast<unsigned>(size) : 0;
    }
    // Epochs become owner records, and are counted on from: none may be near the end of the numbers.
    std::uint64_t epoch(std::uint64_t from) {
        if (from > kEpochMax) complain(code_, "an impossible epoch");
        return from;
    }
    void complain(Errc code, const std::string& what) {
        if (!error_) error_.emplace(code, what);
    }
    const std::optional<Error>& error() const { return error_; }

private:
    bool fits(std::size_t size, std::size_t size_max, const char* field, const char* unit) {
        if (size <= size_max) return true;
        complain(code_, std::string(field) + " has " + std::to_string(size) + " " + unit + ", at most " +
                            std::to_string(size_max) + " are allowed");
        return false;
    }
    Errc code_;
    std::optional<Error> error_;
};

capnp::Data::Reader data_of(const Digest& digest);
Errc errc_of(std::uint16_t number);  // Errc::unknown for a number of a newer version

void write(Checker& check, schema::HostFacts::Builder to, const HostFacts& from);
void read(Checker& check, schema::HostFacts::Reader from, HostFacts& to);
void write_names(Checker& check, capnp::List<capnp::Text>::Builder to, const std::vector<std::string>& from);
void read_names(Checker& check, capnp::List<capnp::Text>::Reader from, std::vector<std::string>& to);
void write_findings(Checker& check, capnp::List<schema::Finding>::Builder to, const std::vector<Finding>& from);
void read_findings(Checker& check, capnp::List<schema::Finding>::Reader from, std::vector<Finding>& to);
void read_extra_trees(Checker& check, capnp::List<schema::ExtraTree>::Reader from, std::vector<ExtraTree>& to);
template <class Builder>
void write_extra_trees(Checker& check, Builder to, const std::vector<ExtraTree>& from) {
    auto trees = to.initExtraTrees(check.count(from.size(), kExtraTreesMax, "extra_trees"));
    for (unsigned i = 0; i < trees.size(); ++i) {
        trees[i].setPath(check.text(from[i].path, kSentenceBytesMax, "path"));
        trees[i].setBytes(from[i].bytes);
        trees[i].setEntries(from[i].entries);
    }
}
void write_travelling(Checker& check, schema::CheckReply::Builder to, const std::vector<std::string>& from);
void read_travelling(Checker& check, schema::CheckReply::Reader from, std::vector<std::string>& to);

// Messages that are no step of every move.
void write(Checker& check, schema::JoinRequest::Builder to, const JoinRequest& from);
void read(Checker& check, schema::JoinRequest::Reader from, JoinRequest& to);
void write(Checker& check, schema::JoinReply::Builder to, const JoinReply& from);
void read(Checker& check, schema::JoinReply::Reader from, JoinReply& to);
void write(Checker& check, schema::Refusal::Builder to, const Refusal& from);
void read(Checker& check, schema::Refusal::Reader from, Refusal& to);
void write(Checker& check, schema::OwnersRequest::Builder to, const OwnersRequest& from);
void read(Checker& check, schema::OwnersRequest::Reader from, OwnersRequest& to);
void write(Checker& check, schema::OwnersReply::Builder to, const OwnersReply& from);
void read(Checker& check, schema::OwnersReply::Reader from, OwnersReply& to);
void write(Checker& check, schema::PushRequest::Builder to, const PushRequest& from);
void read(Checker& check, schema::PushRequest::Reader from, PushRequest& to);
void write(Checker& check, schema::PushReply::Builder to, const PushReply& from);
void read(Checker& check, schema::PushReply::Reader from, PushReply& to);
void write(Checker& check, schema::PushInstall::Builder to, const PushInstall& from);
void read(Checker& check, schema::PushInstall::Reader from, PushInstall& to);
void write(Checker& check, schema::PushInstalled::Builder to, const PushInstalled& from);
void read(Checker& check, schema::PushInstalled::Reader from, PushInstalled& to);
void write(Checker& check, schema::ReturnRequest::Builder to, const ReturnRequest& from);
void read(Checker& check, schema::ReturnRequest::Reader from, ReturnRequest& to);
void write(Checker& check, schema::ReturnReply::Builder to, const ReturnReply& from);
void read(Checker& check, schema::ReturnReply::Reader from, ReturnReply& to);
void write(Checker& check, schema::HistoryRequest::Builder to, const HistoryRequest& from);
void read(Checker& check, schema::HistoryRequest::Reader from, HistoryRequest& to);
void write(Checker& check, schema::HistoryReply::Builder to, const HistoryReply& from);
void read(Checker& check, schema::HistoryReply::Reader from, HistoryReply& to);
void write(Checker& check, schema::PrepareReply::Builder to, const PrepareReply& from);
void read(Checker& check, schema::PrepareReply::Reader from, PrepareReply& to);
void write(Checker& check, schema::VerifyRequest::Builder to, const VerifyRequest& from);
void read(Checker& check, schema::VerifyRequest::Reader from, VerifyRequest& to);
void write(Checker& check, schema::BlocksRequest::Builder to, const BlocksRequest& from);
void read(Checker& check, schema::BlocksRequest::Reader from, BlocksRequest& to);
void write(Checker& check, schema::BlocksReply::Builder to, const BlocksReply& from);
void read(Checker& check, schema::BlocksReply::Reader from, BlocksReply& to);

}  // namespace zoneferry
