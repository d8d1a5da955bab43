// Tar archives made by hand, so that a test can say what no honest tar would.
#pragma once

#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

namespace zoneferry {

class TarBuilder {
public:
    // type: ustar's, '0' file, '1' hard link, '2' symbolic link, '3' character device, '5' directory, '6' fifo.
    TarBuilder& add(std::string_view name, char type, std::string_view content = "", std::string_view link = "") {
        std::array<char, 512> header{};
        name.copy(header.data(), 100);
        std::snprintf(header.data() + 100, 8, "%07o", type == '5' ? 0755 : 0644);
        std::snprintf(header.data() + 108, 8, "%07o", 0);
        std::snprintf(header.data() + 116, 8, "%07o", 0);
        std::snprintf(header.data() + 124, 12, "%011zo", content.size());
        std::snprintf(header.data() + 136, 12, "%011o", 1'700'000'000U);
        header[156] = type;
        link.copy(header.data() + 157, 100);
        std::memcpy(header.data() + 257, "ustar\00000", 8);
        std::snprintf(header.data() + 329, 8, "%07o", 1);
        std::memset(header.data() + 148, ' ', 8);
        unsigned sum = 0;
        for (const char c : header) sum += static_cast<unsigned char>(c);
        std::snprintf(header.data() + 148, 8, "%06o", sum);
        bytes_.append(header.data(), header.size());
        bytes_ += content;
        bytes_.append((512 - content.size() % 512) % 512, '\0');
        return *this;
    }
    // A whole system's least: what the installer looks for.
    TarBuilder& add_system() {
        return add("./", '5').add("etc/", '5').add("usr/", '5').add("etc/os-release", '0', "ID=test\n");
    }
    std::string finish() const { return bytes_ + std::string(1024, '\0'); }
    const std::string& unfinished() const { return bytes_; }

private:
    std::string bytes_;
};

}  // namespace zoneferry
