use std::path::PathBuf;

/// Why a metric could not be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// Candidates and references are not the same number of images.
    #[error(
        "{candidates} captions were given for {references} images with references: give one caption for each"
    )]
    Lengths {
        /// Number of candidate captions.
        candidates: usize,
        /// Number of images with references.
        references: usize,
    },
    /// An image without references.
    #[error("image {image} has no reference captions: give at least one or leave the image out")]
    NoReferences {
        /// Position of the image.
        image: usize,
    },
    /// Nothing to score.
    #[error("there is nothing to score: give at least one caption")]
    Empty,
    /// A document frequency that no set of references can have.
    #[error(
        "the n-gram {words:?} cannot occur in {count} of {images} images: list n-grams of 1 to 4 words once each, with the number of images that have them"
    )]
    Table {
        /// Words of the n-gram as numbers.
        words: Vec<u32>,
        /// Its count.
        count: u32,
        /// Number of images in the table.
        images: usize,
    },
    /// A similarity that is not a number.
    #[error(
        "the similarity of row {row} and column {column} is not a number: check the embeddings"
    )]
    NotANumber {
        /// Row of the similarity matrix, counted within the block.
        row: usize,
        /// Column of the similarity matrix.
        column: usize,
    },
    /// A row whose right answer is missing or not one of the columns.
    #[error(
        "row {row} has no right answer among its {columns} columns: give column numbers below {columns}"
    )]
    NoTarget {
        /// Row of the similarity matrix, counted within the block.
        row: usize,
        /// Columns of the similarity matrix.
        columns: usize,
    },
    /// Similarities that don't form a matrix of the expected shape.
    #[error(
        "{values} similarities are not {rows} rows of {columns}: give one for each pair, row by row"
    )]
    Shape {
        /// Number of values given.
        values: usize,
        /// Rows expected.
        rows: usize,
        /// Columns expected.
        columns: usize,
    },
    /// A file of METEOR's data that can't be read.
    #[error(
        "{}: {reason}: name the folder with meteor-1.5.jar and data/paraphrase-en.gz, as pycocoevalcap ships it",
        file.display()
    )]
    MeteorData {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
