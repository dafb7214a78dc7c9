"""The pages that commands write share one frame and one look: a file each that works without a server or a network."""
