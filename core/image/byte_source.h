// A stream of bytes that an image is read from, front to back, in layers:
//
//     FdSource -> (flar header taken off) -> DigestSource -> DecodedSource (gzip, bzip2, xz, zstd, compress) -> reader
//
// No layer keeps more than a block in memory, none seeks: `-a -` reads a pipe.
#pragma once

#include "core/base/bytes.h"
#include "core/base/digest.h"
#include "core/base/result.h"

namespace zoneferry {

class ByteSource {
public:
    ByteSource() = default;
    virtual ~ByteSource() = default;
    ByteSource(const ByteSource&) = delete;
    ByteSource& operator=(const ByteSource&) = delete;

    // Up to into.size() bytes, at least one; 0 is the end.
    virtual Result<std::size_t> read(MutableBytes into) = 0;
};

// Exactly into.size() bytes, or Errc::corrupt: the image ends early.
Status read_whole(ByteSource& source, MutableBytes into);
// Reads to the end and drops it. Errc::invalid: more than kImageTrailingBytesMax.
Status drain(ByteSource& source);

// An open file or pipe, from where it stands; not owned.
class FdSource : public ByteSource {
public:
    explicit FdSource(int fd) : fd_(fd) {}
    Result<std::size_t> read(MutableBytes into) override;

private:
    int fd_;
};

// Lets its reader look at the next bytes without taking them, and remembers the last ones that were taken.
class PeekSource : public ByteSource {
public:
    static constexpr std::size_t kPeekBytesMax = 4096;
    static constexpr std::size_t kTailBytes = 1024;

    explicit PeekSource(ByteSource& from) : from_(from) {}
    // The next wanted (<= kPeekBytesMax) bytes, fewer only before the end. Valid until the next call.
    Result<ConstBytes> peek(std::size_t wanted);
    Result<std::size_t> read(MutableBytes into) override;
    ConstBytes tail() const { return tail_; }

private:
    Status fill(std::size_t wanted);
    void remember(ConstBytes taken);

    ByteSource& from_;
    ByteVector ahead_;       // at most a block, and of it
    std::size_t taken_ = 0;  // so many are read already
    ByteVector tail_;
};

// Digests all that is read through it.
class DigestSource : public ByteSource {
public:
    DigestSource(ByteSource& from, Md5& digest) : from_(from), digest_(digest) {}
    Result<std::size_t> read(MutableBytes into) override;

private:
    ByteSource& from_;
    Md5& digest_;
};

}  // namespace zoneferry
