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
    /// A similarity that is not a number.
    #[error(
        "the similarity of row {row} and column {column} is not a number: check the embeddings"
    )]
    NotANumber {
        /// Row of the similarity matrix.
        row: usize,
        /// Column of the similarity matrix.
        column: usize,
    },
    /// Similarities that don't form a matrix of the expected shape.
    #[error("{values} similarities are not {rows} rows of {columns}")]
    Shape {
        /// Number of values given.
        values: usize,
        /// Rows expected.
        rows: usize,
        /// Columns expected.
        columns: usize,
    },
}
