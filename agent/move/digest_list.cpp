#include "agent/move/digest_list.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/base/fd.h"
#include "wire/limits.h"

namespace zoneferry {
namespace {

// For an entry with the longest name; the target may have more entries than we know of.
constexpr std::uint64_t kListBytesPerEntry = 400;
constexpr std::uint64_t kListEntriesSlack = 100'000;

}  // namespace

Status send_digest_list(Connection& connection, const std::string& digests_path) {
    ZF_TRY(const UniqueFd file, open_file(digests_path, O_RDONLY));
    while (true) {
        VerifyReply part;
        part.is_list_part = true;
        part.list_part.resize(kListPartBytesMax);
        std::size_t filled = 0;
        while (filled < part.list_part.size()) {
            const ssize_t got = ::read(file.get(), part.list_part.data() + filled, part.list_part.size() - filled);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return system_error("read the list of digests", errno);
            if (got == 0) break;
            filled += static_cast<std::size_t>(got);
        }
        part.list_part.resize(filled);
        ZF_TRY_STATUS(connection.send(std::move(part)));
        if (filled == 0) return {};
    }
}

Status receive_digest_list(PeerSession& session, const std::string& into, std::uint64_t tree_entries) {
    ZF_TRY(const UniqueFd file, open_file(into, O_WRONLY | O_CREAT | O_TRUNC, 0600));
    std::uint64_t left = (4 * tree_entries + kListEntriesSlack) * kListBytesPerEntry;
    while (true) {
        ZF_TRY(const VerifyReply part, session.expect<VerifyReply>(kWorkTimeoutMs));
        if (!part.is_list_part) return Error(Errc::protocol, "the target's list of digests breaks off");
        if (part.list_part.empty()) return {};
        if (part.list_part.size() > left) return Error(Errc::protocol, "the target's list of digests has no end");
        left -= part.list_part.size();
        ZF_TRY_STATUS(write_all(file.get(), part.list_part));
    }
}

}  // namespace zoneferry
