//! The words of the scene world. Every attribute knows its word, and every word its attribute.

use serde::{Deserialize, Serialize};

/// Declares an attribute with its words.
macro_rules! attribute {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value that a word stands for.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.word() == word)
            }
        }
    };
}

attribute! {
    /// Outline of an object.
    Shape {
        /// Five points.
        Star = "star",
        /// A circle with a hole.
        Ring = "ring",
        /// A disc.
        Circle = "circle",
        /// Sides along the axes.
        Square = "square",
        /// Points up.
        Triangle = "triangle",
        /// A plus sign.
        Cross = "cross",
        /// A heart.
        Heart = "heart",
        /// A square on its tip.
        Diamond = "diamond",
    }
}

attribute! {
    /// Colour of an object; never one of the background's.
    Colour {
        /// Red.
        Red = "red",
        /// Green.
        Green = "green",
        /// Blue.
        Blue = "blue",
        /// Yellow.
        Yellow = "yellow",
        /// Purple.
        Purple = "purple",
        /// White.
        White = "white",
        /// Black.
        Black = "black",
    }
}

attribute! {
    /// Size of an object.
    Size {
        /// Radius 0.11 of the picture's side.
        Small = "small",
        /// Radius 0.19 of the picture's side.
        Large = "large",
    }
}

attribute! {
    /// Main colour of the background.
    Ground {
        /// Pink.
        Pink = "pink",
        /// Teal.
        Teal = "teal",
        /// Grey.
        Grey = "grey",
        /// Brown.
        Brown = "brown",
        /// Navy.
        Navy = "navy",
        /// Beige.
        Beige = "beige",
    }
}

attribute! {
    /// Pattern of the background, in a second tone of its colour.
    Texture {
        /// No pattern.
        Plain = "plain",
        /// Horizontal stripes.
        Striped = "striped",
        /// A grid of dots.
        Dotted = "dotted",
        /// A chessboard.
        Checkered = "checkered",
    }
}

attribute! {
    /// Where one object is, seen from another.
    Relation {
        /// Further left.
        Left = "left of",
        /// Further right.
        Right = "right of",
        /// Higher.
        Above = "above",
        /// Lower.
        Below = "below",
    }
}

impl Relation {
    /// The same seen from the other object.
    pub fn inverse(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
            Self::Above => Self::Below,
            Self::Below => Self::Above,
        }
    }
}
