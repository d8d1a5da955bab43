#include "core/image/byte_source.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/image/limits.h"

namespace zoneferry {
namespace {

constexpr std::size_t kBlockBytes = 1 << 16;

}  // namespace

Status read_whole(ByteSource& source, MutableBytes into) {
    while (!into.empty()) {
        ZF_TRY(const std::size_t got, source.read(into));
        if (got == 0)
            return Error(Errc::corrupt, "the image ends early")
                .remedy("check that the archive is complete; nothing of it was kept");
        into = into.subspan(got);
    }
    return {};
}

Status drain(ByteSource& source) {
    ByteVector dropped(kBlockBytes);
    for (std::uint64_t all = 0; all <= kImageTrailingBytesMax;) {
        ZF_TRY(const std::size_t got, source.read(dropped));
        if (got == 0) return {};
        all += got;
    }
    return Error(Errc::invalid, "more than 16 MiB lie behind the end of the archive")
        .remedy("check that it is the right file; nothing of it was kept");
}

Result<std::size_t> FdSource::read(MutableBytes into) {
    while (true) {
        const ssize_t got = ::read(fd_, into.data(), into.size());
        if (got >= 0) return static_cast<std::size_t>(got);
        if (errno != EINTR) return system_error("read the image", errno);
    }
}

Status PeekSource::fill(std::size_t wanted) {
    ahead_.erase(ahead_.begin(), ahead_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
    while (ahead_.size() < wanted) {
        const std::size_t had = ahead_.size();
        ahead_.resize(kBlockBytes);
        auto got = from_.read(MutableBytes(ahead_).subspan(had));
        ahead_.resize(had + got.value_or(0));
        if (!got) return std::move(got).error();
        if (*got == 0) break;
    }
    return {};
}

Result<ConstBytes> PeekSource::peek(std::size_t wanted) {
    ZF_CHECK(wanted <= kPeekBytesMax);
    if (ahead_.size() - taken_ < wanted) ZF_TRY_STATUS(fill(wanted));
    const ConstBytes there = ConstBytes(ahead_).subspan(taken_);
    return there.first(std::min(there.size(), wanted));
}

Result<std::size_t> PeekSource::read(MutableBytes into) {
    std::size_t got = 0;
    if (taken_ == ahead_.size() && into.size() >= kBlockBytes) {
        ZF_TRY(got, from_.read(into));
    } else {
        if (taken_ == ahead_.size()) ZF_TRY_STATUS(fill(1));
        got = std::min(into.size(), ahead_.size() - taken_);
        std::copy_n(ahead_.begin() + static_cast<std::ptrdiff_t>(taken_), got, into.begin());
        taken_ += got;
    }
    remember(into.first(got));
    return got;
}

void PeekSource::remember(ConstBytes taken) {
    if (taken.size() > kTailBytes) taken = taken.last(kTailBytes);
    append_bytes(tail_, taken);
    if (tail_.size() > kTailBytes) {
        tail_.erase(tail_.begin(), tail_.end() - static_cast<std::ptrdiff_t>(kTailBytes));
    }
}

Result<std::size_t> DigestSource::read(MutableBytes into) {
    ZF_TRY(const std::size_t got, from_.read(into));
    digest_.update(into.first(got));
    return got;
}

}  // namespace zoneferry
