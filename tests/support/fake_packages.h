// Package databases of hosts that do not exist, made below a directory: what the readers are tested with.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/base/files.h"

namespace zoneferry {

// Plainly: durability would only make tests slow.
inline void write_file(const std::string& path, const std::string& content) {
    ASSERT_TRUE(make_directories(path.substr(0, path.rfind('/')), 0755));
    const auto file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ASSERT_TRUE(file) << file.error().text();
    ASSERT_TRUE(write_all(file->get(), as_bytes(content)));
}

struct FakeDpkgPackage {
    std::string name;
    std::string version = "1.0";
    std::vector<std::string> paths;  // with their parents, as dpkg writes them
    std::string architecture = "amd64";
    std::string multi_arch;
    std::string status = "install ok installed";
};

inline std::string fake_dpkg_status(const std::vector<FakeDpkgPackage>& packages) {
    std::string text;
    for (const FakeDpkgPackage& package : packages) {
        text += "Package: " + package.name + "\nStatus: " + package.status + "\nArchitecture: " + package.architecture +
                "\n" + (package.multi_arch.empty() ? "" : "Multi-Arch: " + package.multi_arch + "\n") +
                "Version: " + package.version + "\nDescription: made for a test\n with a second line\n\n";
    }
    return text;
}

inline void make_dpkg_host(const std::string& root, const std::vector<FakeDpkgPackage>& packages) {
    const std::string dpkg = root + "/var/lib/dpkg";
    write_file(dpkg + "/status", fake_dpkg_status(packages));
    ASSERT_TRUE(make_directories(dpkg + "/info", 0755));
    for (const FakeDpkgPackage& package : packages) {
        std::string list = "/.\n";
        for (const std::string& path : package.paths) list += path + "\n";
        const std::string name =
            package.multi_arch == "same" ? package.name + ":" + package.architecture : package.name;
        write_file(dpkg + "/info/" + name + ".list", list);
    }
}

struct FakeSvr4Package {
    std::string name;
    std::string version = "1.0,REV=2005.01.01.00.00";
    std::vector<std::string> lines;  // more of pkginfo: flags, PATCH_INFO_*
    std::string depend;
};

inline void make_svr4_host(const std::string& root, const std::vector<FakeSvr4Package>& packages,
                           const std::string& contents) {
    write_file(root + "/var/sadm/install/contents", contents);
    for (const FakeSvr4Package& package : packages) {
        std::string text = "CLASSES=none\nBASEDIR=/\nPKG=" + package.name + "\nVERSION=" + package.version + "\n";
        for (const std::string& line : package.lines) text += line + "\n";
        const std::string directory = root + "/var/sadm/pkg/" + package.name;
        write_file(directory + "/pkginfo", text);
        if (!package.depend.empty()) write_file(directory + "/install/depend", package.depend);
    }
}

// A whole system as p2v sees one, of Debian's family; nothing in it runs.
inline void make_dpkg_system(const std::string& root, const std::vector<FakeDpkgPackage>& packages,
                             const std::string& version = "12") {
    for (const char* directory : {"/usr/bin", "/usr/lib/systemd", "/var/log", "/bin", "/lib", "/etc/zones", "/run"})
        ASSERT_TRUE(make_directories(root + directory, 0755));
    write_file(root + "/etc/os-release",
               "ID=debian\nVERSION_ID=\"" + version + "\"\nPRETTY_NAME=\"Debian " + version + "\"\n");
    write_file(root + "/usr/lib/systemd/systemd", "an init");
    ASSERT_TRUE(remove_tree(root + "/var/lib/dpkg"));
    make_dpkg_host(root, packages);
}

}  // namespace zoneferry
