#include "core/zone/control.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/text.h"

namespace zoneferry {
namespace {

sockaddr_un address_at(const UniqueFd& directory, const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = "/proc/self/fd/" + std::to_string(directory.get()) + "/" + name;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
}

Result<UniqueFd> new_socket() {
    UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (!fd) return system_error("make a socket", errno);
    return fd;
}

Status wait_readable(int fd, int timeout_ms) {
    pollfd wait{fd, POLLIN, 0};
    int ready = 0;
    while ((ready = ::poll(&wait, 1, timeout_ms)) < 0 && errno == EINTR) {
    }
    if (ready > 0) return {};
    return Error(Errc::timed_out, "zoneadmd did not answer in time");
}

}  // namespace

Result<UniqueFd> listen_at(const std::string& directory, const std::string& name) {
    ZF_TRY(const UniqueFd held, open_directory(directory));
    ZF_TRY(UniqueFd fd, new_socket());
    ::unlinkat(held.get(), name.c_str(), 0);
    const sockaddr_un address = address_at(held, name);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd.get(), 16) != 0) {
        return system_error("listen on " + printable(directory) + "/" + name, errno);
    }
    return fd;
}

Result<UniqueFd> connect_at(const std::string& directory, const std::string& name) {
    ZF_TRY(const UniqueFd held, open_directory(directory));
    ZF_TRY(UniqueFd fd, new_socket());
    const sockaddr_un address = address_at(held, name);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return system_error("connect to " + printable(directory) + "/" + name, errno);
    }
    return fd;
}

Result<UniqueFd> accept_root(int listener, int timeout_ms) {
    ZF_TRY_STATUS(wait_readable(listener, timeout_ms));
    UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) return system_error("accept", errno);
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != 0) {
        return Error(Errc::permission, "only root may talk to zoneadmd");
    }
    return fd;
}

Status send_message(int socket, std::string_view text) {
    if (::send(socket, text.data(), std::min(text.size(), kControlMessageBytesMax), MSG_NOSIGNAL) < 0) {
        return system_error("send to zoneadmd", errno);
    }
    return {};
}

Result<std::string> receive_message(int socket, int timeout_ms) {
    ZF_TRY_STATUS(wait_readable(socket, timeout_ms));
    std::string text(kControlMessageBytesMax, '\0');
    const ssize_t n = ::recv(socket, text.data(), text.size(), 0);
    if (n <= 0) return Error(Errc::peer_lost, "zoneadmd has ended");
    text.resize(static_cast<std::size_t>(n));
    return text;
}

std::string error_message(const Error& error) {
    return "failed " + std::string(errc_name(error.code())) + "\n" + error.text() + "\n" + error.remedy_text();
}

Error error_from_message(std::string_view text) {
    const auto lines = split(text, '\n');
    constexpr std::string_view kFailed = "failed ";
    if (lines.size() < 3 || !lines[0].starts_with(kFailed))
        return Error(Errc::unknown, "zoneadmd said: " + printable(text));
    Error error(errc_from_name(lines[0].substr(kFailed.size())), std::string(lines[1]));
    if (!lines[2].empty()) return std::move(error).remedy(std::string(lines[2]));
    return error;
}

}  // namespace zoneferry
