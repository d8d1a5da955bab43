// A directory of its own for one test, removed with all below it when the test ends.
#pragma once

#include <cstdlib>
#include <string>

#include "core/base/check.h"
#include "core/base/files.h"

namespace zoneferry {

class TempDirectory {
public:
    TempDirectory() {
        const char* base = std::getenv("TMPDIR");
        path_ = std::string(base == nullptr ? "/var/tmp" : base) + "/zoneferry-test.XXXXXX";
        ZF_CHECK(::mkdtemp(path_.data()) != nullptr);
    }
    ~TempDirectory() { (void)remove_tree(path_); }
    TempDirectory(const TempDirectory&) = delete;
    TempDirectory& operator=(const TempDirectory&) = delete;

    const std::string& path() const { return path_; }
    std::string name() const { return path_.substr(path_.rfind('/') + 1); }

private:
    std::string path_;
};

}  // namespace zoneferry
