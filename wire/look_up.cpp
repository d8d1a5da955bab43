#include "wire/look_up.h"

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <memory>
#include <system_error>
#include <thread>

#include "core/base/text.h"

namespace zoneferry {
namespace {

constexpr int kLookUpsMax = 32;  // each is a thread; a peer that is asked again and again does not get more of them

// Counts one that is under way; of the threads that use it, the last one removes it.
struct UnderWay {
    std::atomic<int> count = 0;
};
const std::shared_ptr<UnderWay>& under_way() {
    static const auto shared = std::make_shared<UnderWay>();
    return shared;
}

}  // namespace

Result<std::vector<std::string>> look_up_name(const std::string& name) {
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* raw = nullptr;
    const int failed = ::getaddrinfo(name.c_str(), nullptr, &wanted, &raw);
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> found(raw, &::freeaddrinfo);
    if (failed != 0) {
        return Error(Errc::unreachable, "the name " + printable(name) + " has no address: " + ::gai_strerror(failed));
    }
    std::vector<std::string> addresses;
    for (const addrinfo* one = found.get(); one != nullptr; one = one->ai_next) {
        std::array<char, NI_MAXHOST> text{};
        const int shown =
            ::getnameinfo(one->ai_addr, one->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
        if (shown == 0) addresses.emplace_back(text.data());
    }
    return addresses;
}

Status look_up_apart(const LookUp& look_up, const std::string& name,
                     std::function<void(Result<std::vector<std::string>>)> done) {
    const std::shared_ptr<UnderWay> counted = under_way();
    if (counted->count.fetch_add(1) >= kLookUpsMax) {
        --counted->count;
        return Error(Errc::busy, "the name " + printable(name) + " is not looked up: " + std::to_string(kLookUpsMax) +
                                     " names are being looked up already");
    }
    try {
        std::thread([counted, look_up, name, done = std::move(done)] {
            done(look_up(name));
            --counted->count;
        }).detach();
    } catch (const std::system_error& error) {
        --counted->count;
        return Error(Errc::busy, std::string("no thread to look up a name: ") + error.what());
    }
    return {};
}

}  // namespace zoneferry
