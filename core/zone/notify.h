// The notify socket that systemd-nspawn writes to (sd_notify(3)): which process is the zone's init, and when the zone
// is up. An abstract socket with a random name; only messages of root's processes count, so a zone that shares the
// host's network cannot forge them.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "core/base/fd.h"

namespace zoneferry {

struct NotifyMessage {
    pid_t leader = 0;    // X_NSPAWN_LEADER_PID
    bool ready = false;  // READY=1
};
NotifyMessage parse_notify(std::string_view text);

class NotifySocket {
public:
    static Result<NotifySocket> create();
    int fd() const { return fd_.get(); }
    const std::string& address() const { return address_; }  // for NOTIFY_SOCKET
    std::optional<NotifyMessage> receive();                  // does not wait

private:
    NotifySocket(UniqueFd fd, std::string address) : fd_(std::move(fd)), address_(std::move(address)) {}
    UniqueFd fd_;
    std::string address_;
};

}  // namespace zoneferry
