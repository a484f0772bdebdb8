"""Does a message ask for a picture? Sentences of both kinds, with the traps."""

import pytest

from limner.chat.intent import wanted

ASK = [
    ("draw a red fox", "a red fox"),
    ("Draw me a red fox in the snow, please", "a red fox in the snow"),
    ("Please draw a lighthouse at night!", "a lighthouse at night"),
    ("can you draw a dragon?", "a dragon"),
    ("Could you please paint a bowl of fruit?", "a bowl of fruit"),
    ("paint the sea in the style of Turner", "the sea in the style of Turner"),
    ("sketch a bridge in pencil", "a bridge in pencil"),
    ("Illustrate a children's story about a snail", "a children's story about a snail"),
    ("hey, draw two cats playing chess", "two cats playing chess"),
    ("I want you to draw my dog as an astronaut", "my dog as an astronaut"),
    ("I'd like you to paint a sunset", "a sunset"),
    ("Let's draw a castle", "a castle"),
    ("generate an image of a castle", "a castle"),
    ("Generate a photorealistic picture of a sunset", "a photorealistic picture of a sunset"),
    ("create a picture of a mountain lake", "a mountain lake"),
    ("Create a watercolor painting of a cottage", "a watercolor painting of a cottage"),
    ("make me a logo for my bakery", "a logo for my bakery"),
    ("make an image showing a robot with flowers", "a robot with flowers"),
    ("design a poster for a jazz concert", "a poster for a jazz concert"),
    ("produce an oil portrait of a queen", "an oil portrait of a queen"),
    ("Can you create an illustration of the water cycle?", "an illustration of the water cycle"),
    ("give me a photo of a tiger", "a tiger"),
    ("show me a picture of a narwhal", "a narwhal"),
    ("I need a wallpaper with stars", "a wallpaper with stars"),
    ("I want a picture of a snowy owl", "a snowy owl"),
    ("I'd like an image of Paris in the rain", "Paris in the rain"),
    ("can I have a picture of a unicorn?", "a unicorn"),
    ("could you make a cartoon of my boss", "a cartoon of my boss"),
    ("a photo of a fox in the snow", "a fox in the snow"),
    ("An oil painting of a ship in a storm", "An oil painting of a ship in a storm"),
    ("portrait of a woman who is smiling", "portrait of a woman who is smiling"),
    ("picture of a red barn", "a red barn"),
    ("another picture of the same barn", "the same barn"),
    ("imagine a city of glass", "a city of glass"),
    ("render a spaceship over Mars", "a spaceship over Mars"),
    ("visualize a black hole eating a star", "a black hole eating a star"),
    ("draw a fox that is not afraid", "a fox that is not afraid"),
    ("draw it again", "it again"),
    ("zeichne einen roten Fuchs", "einen roten Fuchs"),
    ("Bitte zeichne mir ein Haus am See", "ein Haus am See"),
    ("Male ein Bild von einem Wald", "einem Wald"),
    ("Kannst du mir einen Drachen zeichnen?", "einen Drachen"),
    ("Erstelle ein Bild von einer Burg", "einer Burg"),
    ("Ein Foto von einem Leuchtturm", "Ein Foto von einem Leuchtturm"),
    ("dessine-moi un mouton", "un mouton"),
    ("Peux-tu dessiner un chat ?", "un chat"),
    ("Crée une image d'un château", "un château"),
    ("Génère une photo de la mer", "une photo de la mer"),
    ("dibuja un gato negro", "un gato negro"),
    ("Crea una imagen de un castillo", "un castillo"),
    ("¿Puedes dibujar un perro?", "un perro"),
    ("Hazme una foto de la luna", "una foto de la luna"),
]
NO_ASK = [
    "what is an image?",
    "What is the difference between a painting and a photo?",
    "how do I draw a cat?",
    "How can I generate an image in Python?",
    "Why is the picture blurry?",
    "who painted the Mona Lisa?",
    "explain how image generation works",
    "Describe a picture of a fox",
    "describe the painting Starry Night",
    "tell me about the image of God in theology",
    "Is a picture worth a thousand words?",
    "do you like paintings?",
    "can you explain what a portrait is?",
    "what can you draw?",
    "write a poem about a drawing of a rose",
    "Write a function that creates an image",
    "create a function that resizes an image",
    "create a Docker image for this app",
    "build me a docker image",
    "generate a disk image from this folder",
    "make an image gallery component in React",
    "create an image classifier with PyTorch",
    "generate an image tag in HTML",
    "give me the big picture",
    "I get the picture",
    "draw a conclusion from these numbers",
    "draw attention to the second paragraph",
    "draw up a contract",
    "draw a comparison between Rust and Go",
    "draw on your knowledge of Rome",
    "illustrate the point with an example",
    "visualize the data in a table",
    "paint me a picture of the economic situation",
    "sketch out an argument",
    "don't draw anything",
    "do not generate an image, just describe it",
    "no picture please, only words",
    "please explain without drawing",
    "I painted a fence yesterday",
    "she took a photo of me",
    "my photo of the fox is blurry",
    "The picture of Dorian Gray is a novel",
    "render the React component twice",
    "imagine a world where nobody sleeps",
    "translate 'draw a fox' into German",
    "list five image formats",
    "show me the code",
    "show me how to paint",
    "show me a table of image sizes",
    "create a table of picture frames",
    "hello",
    "thanks, that is a nice picture",
    "delete the picture",
    "resize the image to 512 pixels",
    "I want to become a painter",
    "",
    "   ",
    "🦊",
    "Was ist ein Bild?",
    "Wie zeichne ich eine Katze?",
    "Erkläre mir das Bild",
    "Mal sehen, was passiert",
    "Zeichne kein Bild",
    "Qu'est-ce qu'une image ?",
    "Comment dessiner un chat ?",
    "Ne dessine pas d'image",
    "¿Qué es una imagen?",
    "¿Cómo dibujar un gato?",
    "No dibujes una imagen",
]


@pytest.mark.parametrize(("text", "description"), ASK)
def test_a_wish_for_a_picture_is_one_and_says_what_it_shows(text, description):
    found = wanted(text)
    assert found is not None
    assert found.description == description


@pytest.mark.parametrize("text", NO_ASK)
def test_anything_else_is_none(text):
    assert wanted(text) is None


def test_it_alone_is_a_wish_without_a_description():
    for text in ("draw it", "please paint that!", "draw something"):
        found = wanted(text)
        assert found is not None
        assert found.description == ""


@pytest.mark.parametrize(
    "text",
    [
        "draw " + "a " * 20_000,
        "please " * 5_000,
        "a " * 20_000 + "picture",
        "draw " * 9_000,
        "\x00draw a fox",
    ],
)
def test_long_and_odd_messages_are_read_too(text):
    assert wanted(text) is None or wanted(text).description
