// What went wrong, as a value. An Error is one sentence for a person, a code for the caller, the errno if a
// system call failed, and what to type next. Callers add where it happened while they return it:
//
//     return std::move(error).during("reading pkginfo of SUNWcsr");
//
// A difference found by a check is not an Error but a finding (core/attach/finding.h): errors end an
// operation, findings are its result.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace zoneferry {

// A new code only where a caller acts differently on it (retry, exit code, wording).
enum class Errc : std::uint16_t {
    unknown = 0,    // also: a code from a newer peer
    usage,          // the command line or an argument is wrong
    invalid,        // a name, value or document breaks its rules
    not_found,      // the named thing is not there
    conflict,       // exists already, or in the wrong state for this
    busy,           // locked by another operation
    corrupt,        // stored data is damaged
    unsupported,    // known, but not done by this version or this host
    io,             // the system refused (see errno)
    no_space,       // disk, inodes or quota used up
    permission,     // not allowed for this user
    unreachable,    // no connection to the peer could be made
    peer_lost,      // a connection broke or went silent
    timed_out,      // a wait ended without its event
    protocol,       // the peer said something it must not say
    untrusted,      // certificate, invitation or rights refused
    blocked,        // a check has findings that forbid it
    verify_failed,  // digests differ
    not_owner,      // the right to run this zone is elsewhere
    cancelled,      // asked to stop
    in_doubt,       // only a person can decide
    over_budget,    // the zone would be down longer than allowed
    doubled,        // a host and a copy of it are both there
};

std::string_view errc_name(Errc code);
Errc errc_from_name(std::string_view name);  // unknown if it is none

class Error {
public:
    Error(Errc code, std::string sentence, int system_error = 0);

    // Puts a step in front: "reading F: is a directory".
    Error&& during(std::string_view step) &&;
    // What the user can type or do about it; shown on a line of its own.
    Error&& remedy(std::string text) &&;

    Errc code() const { return code_; }
    int system_error() const { return system_error_; }
    const std::string& sentence() const { return sentence_; }
    const std::string& remedy_text() const { return remedy_; }
    // The sentence, with the errno's text if there is one.
    std::string text() const;

private:
    Errc code_;
    int system_error_;
    std::string sentence_;
    std::string remedy_;
};

// An Error from the present errno: "open /etc/zones/index: Permission denied".
Error system_error(std::string_view doing, int error_number);

}  // namespace zoneferry
