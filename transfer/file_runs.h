// The runs of data of an open file: what lies between its holes.
#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace zoneferry {

struct Run {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

class RunFinder {
public:
    RunFinder(int fd, std::uint64_t size) : fd_(fd), size_(size) {}
    // The first run that ends behind position, cut to the file's size; none: begin and end are the size. Where the file
    // system has no map of holes, the whole file is one run.
    Run at(std::uint64_t position);

private:
    int fd_;
    std::uint64_t size_;
    Run run_;
};

// Reads exactly that much; what lies behind the file's end is zero.
Status read_whole(int fd, MutableBytes into, std::uint64_t offset);

}  // namespace zoneferry
