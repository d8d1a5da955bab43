#include "core/zone/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "core/base/digest.h"
#include "core/base/text.h"

namespace zoneferry {

NotifyMessage parse_notify(std::string_view text) {
    constexpr std::string_view kLeader = "X_NSPAWN_LEADER_PID=";
    NotifyMessage message;
    for (const std::string_view line : split(text, '\n')) {
        if (line == "READY=1") message.ready = true;
        if (!line.starts_with(kLeader)) continue;
        message.leader = parse_number<pid_t>(line.substr(kLeader.size())).value_or(0);
    }
    return message;
}

Result<NotifySocket> NotifySocket::create() {
    UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return system_error("make the notify socket", errno);
    const std::string name = "zoneferry/notify/" + to_hex(random_bytes(16));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    const int on = 1;
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
        ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
        return system_error("bind the notify socket", errno);
    }
    return NotifySocket(std::move(fd), "@" + name);
}

std::optional<NotifyMessage> NotifySocket::receive() {
    std::array<char, 4096> text{};
    alignas(cmsghdr) std::array<char, 256> control{};
    while (true) {
        iovec part{text.data(), text.size()};
        msghdr header{};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        const ssize_t n = ::recvmsg(fd_.get(), &header, MSG_CMSG_CLOEXEC);
        if (n < 0) return std::nullopt;
        bool is_root = false;
        for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
            if (item->cmsg_level != SOL_SOCKET) continue;
            if (item->cmsg_type == SCM_CREDENTIALS) {
                ucred sender{};
                std::memcpy(&sender, CMSG_DATA(item), sizeof sender);
                is_root = sender.uid == 0;
            } else if (item->cmsg_type == SCM_RIGHTS) {
                int passed = -1;
                for (std::size_t at = 0; at + CMSG_LEN(0) + sizeof passed <= item->cmsg_len; at += sizeof passed) {
                    std::memcpy(&passed, CMSG_DATA(item) + at, sizeof passed);
                    UniqueFd closed(passed);  // sd_notify's FDSTORE and BARRIER: closing is the answer
                }
            }
        }
        if (is_root) return parse_notify({text.data(), static_cast<std::size_t>(n)});
    }
}

}  // namespace zoneferry
