#include "core/base/error.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace zoneferry {
namespace {

struct Name {
    Errc code;
    std::string_view text;
};

constexpr std::array kNames{
    Name{Errc::unknown, "unknown"},
    Name{Errc::usage, "usage"},
    Name{Errc::invalid, "invalid"},
    Name{Errc::not_found, "not-found"},
    Name{Errc::conflict, "conflict"},
    Name{Errc::busy, "busy"},
    Name{Errc::corrupt, "corrupt"},
    Name{Errc::unsupported, "unsupported"},
    Name{Errc::io, "io"},
    Name{Errc::no_space, "no-space"},
    Name{Errc::permission, "permission"},
    Name{Errc::unreachable, "unreachable"},
    Name{Errc::peer_lost, "peer-lost"},
    Name{Errc::timed_out, "timed-out"},
    Name{Errc::protocol, "protocol"},
    Name{Errc::untrusted, "untrusted"},
    Name{Errc::blocked, "blocked"},
    Name{Errc::verify_failed, "verify-failed"},
    Name{Errc::not_owner, "not-owner"},
    Name{Errc::cancelled, "cancelled"},
    Name{Errc::in_doubt, "in-doubt"},
    Name{Errc::over_budget, "over-budget"},
    Name{Errc::doubled, "doubled"},
};

Errc code_of_errno(int error_number) {
    switch (error_number) {
        case ENOENT: return Errc::not_found;
        case EEXIST: return Errc::conflict;
        case ENOSPC:
        case EDQUOT: return Errc::no_space;
        case EACCES:
        case EPERM: return Errc::permission;
        case ECONNREFUSED:
        case EHOSTUNREACH:
        case ENETUNREACH: return Errc::unreachable;
        case ECONNRESET:
        case EPIPE: return Errc::peer_lost;
        case ETIMEDOUT: return Errc::timed_out;
        default: return Errc::io;
    }
}

}  // namespace

std::string_view errc_name(Errc code) {
    for (const Name& name : kNames) {
        if (name.code == code) return name.text;
    }
    return "unknown";
}

Errc errc_from_name(std::string_view text) {
    for (const Name& name : kNames) {
        if (name.text == text) return name.code;
    }
    return Errc::unknown;
}

Error::Error(Errc code, std::string sentence, int system_error)
    : code_(code), system_error_(system_error), sentence_(std::move(sentence)) {}

Error&& Error::during(std::string_view step) && {
    sentence_.insert(0, ": ").insert(0, step);
    return std::move(*this);
}

Error&& Error::remedy(std::string text) && {
    remedy_ = std::move(text);
    return std::move(*this);
}

std::string Error::text() const {
    if (system_error_ == 0) return sentence_;
    return sentence_ + ": " + std::strerror(system_error_);
}

Error system_error(std::string_view doing, int error_number) {
    return Error(code_of_errno(error_number), std::string(doing), error_number);
}

}  // namespace zoneferry
