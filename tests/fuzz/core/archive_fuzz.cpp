// An image file from any bytes, through every layer of `install -a`: flash archive, compression, tar, cpio, dump. What
// comes out goes nowhere, but its names must be such that a tree could take them.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "core/image/archive_image.h"
#include "core/image/path_rules.h"

namespace {

using namespace zoneferry;

class Nowhere : public ImageSink {
public:
    Nowhere() : ImageSink(PackageSystem::svr4) {}
    Status directory(const std::string& path, EntryMetadata) override { return count(path, true); }
    Status begin_file(const std::string& path) override { return count(path, false); }
    Result<bool> reopen_empty_file(const std::string& path) override {
        ZF_TRY_STATUS(count(path, false));
        return true;
    }
    Status write(std::uint64_t, ConstBytes bytes) override {
        bytes_ += bytes.size();
        // A small input may grow a lot: as ImageWriter's budget would end it.
        return bytes_ > (8U << 20U) ? Status(Error(Errc::no_space, "too much")) : Status();
    }
    Status finish_file(std::uint64_t, const EntryMetadata&) override { return {}; }
    Status symlink(const std::string& path, const std::string&, const EntryMetadata&) override {
        return count(path, false);
    }
    Status hard_link(const std::string& path, const std::string& existing) override {
        if (const auto plain = image_path(existing); !existing.empty() && (!plain || *plain != existing)) std::abort();
        return count(path, false);
    }
    Status fifo(const std::string& path, const EntryMetadata&) override { return count(path, false); }
    Status set_xattr(const std::string& path, const ImageXattr&) override { return count(path, true); }
    std::string small_file(const std::string&) const override { return "root:x:0:0::/:\nwww:x:33:33::/:\n"; }
    std::uint64_t files() const override { return files_; }
    std::uint64_t bytes() const override { return bytes_; }

private:
    Status count(const std::string& path, bool may_be_root) {
        const auto plain = image_path(path);
        if (path.empty() ? !may_be_root : (!plain || *plain != path)) std::abort();
        if (is_volatile_path(path, PackageSystem::svr4)) std::abort();
        return ++files_ > 100'000 ? Status(Error(Errc::invalid, "too many")) : Status();
    }
    std::uint64_t files_ = 0;
    std::uint64_t bytes_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const int fd = ::memfd_create("image", MFD_CLOEXEC);
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
    if (::lseek(fd, 0, SEEK_SET) != 0) std::abort();
    Nowhere sink;
    InstallReport report;
    (void)unpack_image(fd, sink, report, {});
    return 0;
}
