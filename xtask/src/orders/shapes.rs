//! The shapes of versions that are made for a tool: its scheme's tokens, in the places where they matter.

/// The places of a version from left to right: how many of a hundred have something there, at most how many tokens, and the
/// tokens, separated by spaces; `␣` is a space.
pub(super) type Shape = &'static [(usize, usize, &'static str)];

/// A place in a version.
#[derive(Debug)]
pub(super) struct Slot {
    /// How many versions of a hundred have something here.
    pub(super) percent: usize,
    /// At most this many tokens.
    pub(super) most: usize,
    pub(super) tokens: Vec<&'static str>,
}

pub(super) fn slots(shape: Shape) -> Vec<Slot> {
    let tokens = |text: &'static str| text.split(' ').map(|token| if token == "␣" { " " } else { token }).collect();
    shape.iter().map(|(percent, most, text)| Slot { percent: *percent, most: *most, tokens: tokens(text) }).collect()
}

/// Leading zeros, and the numbers after which 32 and 64 bits overflow.
const NUMBERS: &str = "0 1 2 3 9 10 11 00 01 010 2147483648 18446744073709551616 99999999999999999999";
const PLAIN: &str = "0 1 2 3 9 10 11 12 21 100 20200101 4294967296";
const DOTTED: &str = ".0 .0 .1 .2 .9 .10 .00 .01 .010 .2147483648 .99999999999999999999";
const DOTTED_PLAIN: &str = ".0 .0 .1 .2 .3 .9 .10 .12 .100 .20200101 .4294967296";
const EPOCHS: &str = "0: 1: 2: 01: 10: :";

pub(super) const DEB: Shape = &[
    (25, 1, EPOCHS),
    (98, 1, NUMBERS),
    (80, 3, DOTTED),
    (80, 5, "~ ~~ ~rc1 + +dfsg +deb12u1 +b1 a b B Z rc . - 0 1 09 : _ +really ~bpo12"),
    (60, 1, "-0 -1 -01 -1ubuntu1 -1~ -1+b1 - -0~deb12u1 -a"),
];

pub(super) const RPM: Shape = &[
    (25, 1, EPOCHS),
    (95, 1, NUMBERS),
    (70, 3, DOTTED),
    (80, 5, "~ ~rc1 ^ ^git1 ~^ ^~ a b B Z rc . .. _ + 0 1 09 é"),
    (60, 2, "-0 -1 -01 -1.el9 -1.el9_2 -2.el9_10 -1~ -1^ - -a"),
];

pub(super) const APK: Shape = &[
    (98, 1, NUMBERS),
    (80, 3, DOTTED),
    (30, 1, "a b z a1 b10 A"),
    (50, 2, "_alpha _beta1 _pre2 _rc _rc10 _cvs1 _svn2 _git20200101 _hg _p _p1 _p01 _x"),
    (15, 1, "~abc ~0123 ~ ~xyz"),
    (60, 1, "-r0 -r1 -r10 -r01 -r -1 -rc1"),
];

/// node-semver's loose mode takes what people write.
pub(super) const NPM: Shape = &[
    (15, 1, "v = v= V ␣"),
    (99, 1, PLAIN),
    (98, 1, DOTTED_PLAIN),
    (96, 1, DOTTED_PLAIN),
    (3, 1, DOTTED),
    (55, 1, "-a -alpha -rc -0 -1 -A beta rc1 -x-y -10 -01 -0a -- -"),
    (40, 3, ".0 .1 .10 .a .beta .B .- .20200101 .01 . -x"),
    (20, 1, "+1 +build +a.b +a-1 +"),
];

/// Elixir's `Version`: strict.
pub(super) const HEX: Shape = &[
    (3, 1, "v"),
    (99, 1, PLAIN),
    (99, 1, DOTTED_PLAIN),
    (97, 1, DOTTED_PLAIN),
    (3, 1, DOTTED),
    (60, 1, "-a -alpha -rc -0 -1 -A -x-y -10 -0a -- -dev"),
    (40, 3, ".0 .1 .10 .a .beta .B .- .20200101 .99999999999999999999 -x"),
    (20, 1, "+1 +build +a.b +a-1"),
];

pub(super) const GO_MODULE: Shape = &[
    (99, 1, "v"),
    (99, 1, PLAIN),
    (97, 1, DOTTED_PLAIN),
    (95, 1, DOTTED_PLAIN),
    (
        60,
        1,
        "-0.20200101000000-abcdefabcdef -20210101000000-000000000000 -rc.1.0.20200101000000-abcdefabcdef -a \
            -rc.1 -rc1 -beta -0 -10 -A -x-y -99999999999999999999",
    ),
    (20, 2, ".0 .1 .10 .a .B"),
    (30, 1, "+incompatible +dirty +a.b"),
];

pub(super) const GO_TOOLCHAIN: Shape = &[
    (99, 1, "go"),
    (99, 1, "1 1 1 1 2 10"),
    (99, 1, ".2 .9 .19 .20 .20 .21 .21 .22 .100"),
    (60, 1, ".0 .0 .1 .2 .3 .10"),
    (30, 1, "rc1 rc2 rc10 beta1 beta2 alpha1 rc"),
    (15, 1, "-fips -bigcorp -x1"),
];

pub(super) const PYPI: Shape = &[
    (8, 1, "v V ␣"),
    (15, 1, "0! 1! 01! 2!"),
    (99, 1, NUMBERS),
    (75, 4, DOTTED),
    (45, 1, "a a1 .a1 -alpha.1 _beta_2 b2 c c1 rc rc1 -rc-1 .RC2 preview3 .pre rc- a01 ALPHA1"),
    (30, 1, ".post .post1 -1 -01 .rev2 -r3 post_10 -post- r"),
    (30, 1, ".dev dev1 -dev2 _DEV10 .dev-3 dev."),
    (25, 1, "+abc +1 +01 +abc.1 +ubuntu-1 +ABC_2 +1.a +a.b.c +"),
];

/// What PEP 440 does not accept.
pub(super) const PYPI_LEGACY: Shape = &[
    (90, 1, NUMBERS),
    (75, 3, DOTTED),
    (90, 6, "- . _ a x dev -dev pre rc preview final -final 1 01 0 .0 -0 c bulbasaur * ~ 00000000 Z @"),
];

pub(super) const MAVEN: Shape = &[
    (90, 1, NUMBERS),
    (70, 3, DOTTED),
    (
        80,
        7,
        ". - - a b m x alpha beta milestone rc cr snapshot ga final release sp RC Final -SNAPSHOT -alpha -jre \
            .Final .RC .sp 0 1 2 10 00 01 .0 -0 -1 .1 _ xyz +1 99999999999999999999",
    ),
];

/// Without platforms of gems, which no version has.
pub(super) const RUBYGEMS: Shape = &[
    (98, 1, NUMBERS),
    (75, 4, DOTTED),
    (60, 5, ".a .b .rc .pre .A .alpha a b1 rc - -1 -rc1 .0 .0.0 .1 .10 0 1 . _ Z"),
];

pub(super) const PHP: Shape = &[
    (15, 1, "v V"),
    (95, 1, PLAIN),
    (75, 3, DOTTED),
    (
        70,
        5,
        ". - + _ dev alpha a beta b RC rc Rc pl p patch Beta x stable 1 2 10 01 -dev -alpha1 -beta.2 -RC1 -p1 \
            -whatever",
    ),
];

pub(super) const COMPOSER: Shape = &[
    (15, 1, "v V"),
    (99, 1, PLAIN),
    (99, 1, DOTTED_PLAIN),
    (99, 1, DOTTED_PLAIN),
    (99, 1, DOTTED_PLAIN),
    (
        60,
        1,
        "-dev -alpha -alpha1 -a2 a1 -beta -beta.2 b10 -RC -RC1 -rc2 RC3 -p1 -pl2 -patch3 -stable -whatever \
            _beta1",
    ),
    (10, 1, "-dev +build +1"),
];

pub(super) const CRAN: Shape =
    &[(99, 1, PLAIN), (80, 4, ".0 .1 .2 .9 .10 .01 .00 -0 -1 -2 -9 -10 -01"), (3, 1, ".x - . a .2147483648")];
