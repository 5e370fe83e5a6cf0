SUMMARY = "Register gateway: ties cash drawer, receipts and cameras to what the till reports"
SECTION = "net"
# The program's own, and those of the crates linked into it.
LICENSE = "Apache-2.0 & BSD-3-Clause & IJG & ISC & MIT & MPL-2.0 & Unicode-3.0 & Zlib"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

# The repository this layer lies in, as committed on its branch. A layer that was copied out of it
# sets both in local.conf: TILLWATCH_REPOSITORY to where the repository is, SRCREV to a commit.
TILLWATCH_REPOSITORY ?= "git://${@os.path.dirname(d.getVar('TILLWATCH_LAYERDIR'))};protocol=file"
TILLWATCH_BRANCH ?= "main"
SRC_URI = "${TILLWATCH_REPOSITORY};branch=${TILLWATCH_BRANCH}"
SRCREV ?= "${AUTOREV}"

# Written by ../../update-crates. Not by `bitbake -c update_crates`, which collects the crates of
# every Cargo.lock in the tree, those of the fuzz targets too.
require ${BPN}-crates.inc

inherit cargo features_check systemd useradd

REQUIRED_DISTRO_FEATURES = "systemd"
COMPATIBLE_HOST = "(aarch64|x86_64).*-linux.*"

# Without the demonstration and its broker. wrynose has Rust 1.94, the workspace names the version it
# is tested with.
CARGO_BUILD_FLAGS:append = " --package tillwatch --no-default-features --ignore-rust-version"
PACKAGECONFIG ??= ""
PACKAGECONFIG[rppal] = "--features rppal"
# The symbols go to the -dbg package; what cargo has stripped already fails the package check.
export CARGO_PROFILE_RELEASE_STRIP = "none"

SYSTEMD_SERVICE:${PN} = "tillwatch.service"

# The numbers of sysusers.d/tillwatch.conf: files on the data partition outlive a system slot.
USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system --gid 640 tillwatch; --system gpio"
USERADD_PARAM:${PN} = "--system --uid 640 --gid tillwatch --home-dir ${localstatedir}/lib/tillwatch --no-create-home --shell /usr/sbin/nologin tillwatch"

do_install:append() {
    install -Dm 0644 ${S}/systemd/tillwatch.service ${D}${systemd_system_unitdir}/tillwatch.service
    install -Dm 0644 ${S}/systemd/sysusers.d/tillwatch.conf ${D}${nonarch_libdir}/sysusers.d/tillwatch.conf
    install -Dm 0644 ${S}/systemd/tmpfiles.d/tillwatch.conf ${D}${nonarch_libdir}/tmpfiles.d/tillwatch.conf
    install -Dm 0644 ${S}/systemd/udev/60-tillwatch.rules ${D}${nonarch_base_libdir}/udev/rules.d/60-tillwatch.rules
    # Every key of it is a comment: the defaults.
    install -Dm 0644 ${S}/systemd/tillwatch.example.toml ${D}${sysconfdir}/tillwatch/tillwatch.toml
    install -dm 0700 ${D}${sysconfdir}/tillwatch/credentials
}

FILES:${PN} += " \
    ${nonarch_base_libdir}/udev/rules.d \
    ${nonarch_libdir}/sysusers.d \
    ${nonarch_libdir}/tmpfiles.d \
"
CONFFILES:${PN} = "${sysconfdir}/tillwatch/tillwatch.toml"

# The store's time zone, the broker's certificate, and what printer taps and cameras plug into.
RRECOMMENDS:${PN} += " \
    ca-certificates \
    tzdata \
    kernel-module-cdc-acm \
    kernel-module-ch341 \
    kernel-module-cp210x \
    kernel-module-ftdi-sio \
    kernel-module-pl2303 \
    kernel-module-uvcvideo \
"
