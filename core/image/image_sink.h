// Where the entries of an image go, one after the other: into a tree (ImageTreeSink), or only into account
// (image_survey.h). Readers of archives know nothing but this.
#pragma once

#include <string>

#include "core/image/image_writer.h"
#include "core/packages/package.h"

namespace zoneferry {

// Paths are such that image_path() accepted them. At most one file is open at a time.
class ImageSink {
public:
    // system: what kind of system the image must be, for what is left out of it (is_volatile_path).
    explicit ImageSink(PackageSystem system) : system_(system) {}
    virtual ~ImageSink() = default;
    ImageSink(const ImageSink&) = delete;
    ImageSink& operator=(const ImageSink&) = delete;

    PackageSystem package_system() const { return system_; }

    virtual Status directory(const std::string& path, EntryMetadata metadata) = 0;
    virtual Status begin_file(const std::string& path) = 0;
    // As ImageWriter's; false: it holds data already, and no file is open.
    virtual Result<bool> reopen_empty_file(const std::string& path) = 0;
    virtual Status write(std::uint64_t offset, ConstBytes bytes) = 0;
    virtual Status finish_file(std::uint64_t size, const EntryMetadata& metadata) = 0;
    virtual Status symlink(const std::string& path, const std::string& target, const EntryMetadata& metadata) = 0;
    virtual Status hard_link(const std::string& path, const std::string& existing) = 0;
    virtual Status fifo(const std::string& path, const EntryMetadata& metadata) = 0;
    virtual Status set_xattr(const std::string& path, const ImageXattr& xattr) = 0;
    // A small file that came before; empty if it is not there or cannot be read.
    virtual std::string small_file(const std::string& path) const = 0;

    virtual std::uint64_t files() const = 0;
    virtual std::uint64_t bytes() const = 0;

private:
    PackageSystem system_;
};

class ImageTreeSink : public ImageSink {
public:
    ImageTreeSink(ImageWriter& writer, PackageSystem system) : ImageSink(system), writer_(writer) {}

    Status directory(const std::string& path, EntryMetadata metadata) override;
    Status begin_file(const std::string& path) override;
    Result<bool> reopen_empty_file(const std::string& path) override;
    Status write(std::uint64_t offset, ConstBytes bytes) override;
    Status finish_file(std::uint64_t size, const EntryMetadata& metadata) override;
    Status symlink(const std::string& path, const std::string& target, const EntryMetadata& metadata) override;
    Status hard_link(const std::string& path, const std::string& existing) override;
    Status fifo(const std::string& path, const EntryMetadata& metadata) override;
    Status set_xattr(const std::string& path, const ImageXattr& xattr) override;
    std::string small_file(const std::string& path) const override;
    std::uint64_t files() const override { return writer_.files(); }
    std::uint64_t bytes() const override { return writer_.bytes(); }

private:
    ImageWriter& writer_;
    UniqueFd file_;
    std::string path_;  // of file_
};

}  // namespace zoneferry
