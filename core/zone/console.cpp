#include "core/zone/console.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr std::size_t kLogBytesMax = 1U << 20U;
constexpr std::size_t kTailBytesMax = 2048;

}  // namespace

Result<Console> Console::open(const std::string& log_path) {
    ZF_TRY(UniqueFd log, open_file(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!master || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0)
        return system_error("make the console", errno);
    UniqueFd slave(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!slave) return system_error("open the console", errno);
    const winsize size{24, 80, 0, 0};
    ::ioctl(master.get(), TIOCSWINSZ, &size);
    ::fcntl(master.get(), F_SETFL, O_NONBLOCK);
    return Console(std::move(master), std::move(slave), std::move(log));
}

void Console::drain() {
    std::array<char, 16384> buffer{};
    // Bounded, so that a zone which prints without end cannot keep zoneadmd here.
    for (int round = 0; round < 16; ++round) {
        const ssize_t n = ::read(master_.get(), buffer.data(), buffer.size());
        if (n <= 0) {
            // EIO: nobody holds the slave any more. Poll would report that without end.
            if (n < 0 && errno == EIO) master_.reset();
            return;
        }
        const std::string_view text(buffer.data(), static_cast<std::size_t>(n));
        tail_ += text;
        if (tail_.size() > kTailBytesMax) tail_.erase(0, tail_.size() - kTailBytesMax);
        if (log_bytes_ + text.size() > kLogBytesMax && ::ftruncate(log_.get(), 0) == 0) {
            ::lseek(log_.get(), 0, SEEK_SET);
            log_bytes_ = 0;
        }
        if (write_all(log_.get(), as_bytes(text))) log_bytes_ += text.size();
    }
}

std::string Console::last_line() const {
    const std::string_view text = trim(tail_);
    const std::size_t newline = text.find_last_of("\r\n");
    return printable(trim(newline == std::string_view::npos ? text : text.substr(newline + 1)));
}

}  // namespace zoneferry
